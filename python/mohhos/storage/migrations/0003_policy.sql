-- Version 3: roles as documents, several roles per principal, groups, the states of devices, the audit.

-- Each action of a role is {"allow": [patterns], "deny": [patterns]}; receive is null where nothing is said about it, and
-- its allow is null where everything is allowed. limits is an object, without those that are not set.
ALTER TABLE roles ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE roles ADD COLUMN receive TEXT NOT NULL DEFAULT 'null';
ALTER TABLE roles ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
UPDATE roles SET
    publish = json_object('allow', json(publish), 'deny', json('[]')),
    subscribe = json_object('allow', json(subscribe), 'deny', json('[]'));

-- The names of a principal's roles, separated by commas (no name has one), and of the groups that an application belongs
-- to, in the same way; those of a device are in its label "group".
ALTER TABLE principals RENAME COLUMN role TO roles;
ALTER TABLE principals ADD COLUMN member_of TEXT NOT NULL DEFAULT '';

-- Devices that are not simply allowed: throttled to a rate (messages per second), or in quarantine, where topics is the
-- JSON list of patterns that they may talk to (empty: the default ones).
CREATE TABLE device_states (
    device   TEXT    NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    state    TEXT    NOT NULL CHECK (state IN ('throttle', 'quarantine')),
    rate     REAL    CHECK (rate > 0),
    topics   TEXT    NOT NULL DEFAULT '[]',
    reason   TEXT    NOT NULL,
    operator TEXT    NOT NULL,
    since_us INTEGER NOT NULL,
    CHECK ((state = 'throttle') = (rate IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Who did what to whom, when and why. detail is a JSON object. Bounded by mohhos.storage.audit, the oldest go first.
CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us    INTEGER NOT NULL,
    operator TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    reason   TEXT    NOT NULL DEFAULT '',
    detail   TEXT    NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX audit_by_subject ON audit (subject, seq);
