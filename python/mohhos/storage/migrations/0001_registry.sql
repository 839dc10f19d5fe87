-- Version 1: the registry. Times are integer microseconds UTC. Written by mohhos.storage.migrations, which keeps the
-- version in PRAGMA user_version; a change of shape is a new file with the next number, never an edit of an older one.

-- Who may connect over MQTT. Names are shared by devices, applications and adapters, for they are MQTT user names.
-- Exactly one of secret (HMAC-SHA-256 under the gateway key) and password (Argon2id PHC string).
CREATE TABLE principals (
    name     TEXT    NOT NULL PRIMARY KEY,
    kind     TEXT    NOT NULL CHECK (kind IN ('device', 'application', 'adapter')),
    role     TEXT    NOT NULL,
    secret   BLOB    CHECK (length(secret) = 32),
    password TEXT,
    enabled  INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    created_us INTEGER NOT NULL,
    CHECK ((secret IS NULL) <> (password IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX principals_by_kind ON principals (kind, name);
CREATE INDEX principals_by_role ON principals (role);

-- Devices. The code stands for the device in the log and in the history: AUTOINCREMENT never gives one twice, not even
-- after its device was deleted.
CREATE TABLE devices (
    code            INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    type            TEXT    NOT NULL DEFAULT '',
    model           TEXT    NOT NULL DEFAULT '',
    firmware        TEXT    NOT NULL DEFAULT '',
    lat             REAL    CHECK (lat BETWEEN -90 AND 90),
    lon             REAL    CHECK (lon BETWEEN -180 AND 180),
    site            TEXT    NOT NULL DEFAULT '',
    labels          TEXT    NOT NULL DEFAULT '{}',
    parent          TEXT    REFERENCES devices (id),
    status          TEXT    NOT NULL DEFAULT 'never' CHECK (status IN ('never', 'online', 'offline')),
    status_since_us INTEGER,
    first_seen_us   INTEGER,
    last_seen_us    INTEGER,
    created_us      INTEGER NOT NULL,
    version         INTEGER NOT NULL DEFAULT 1,
    CHECK ((lat IS NULL) = (lon IS NULL))
) STRICT;
CREATE INDEX devices_by_type ON devices (type, id);
CREATE INDEX devices_by_status ON devices (status, id);
CREATE INDEX devices_by_site ON devices (site, status);
CREATE INDEX devices_by_parent ON devices (parent) WHERE parent IS NOT NULL;

-- The labels of devices.labels once more, one row each, for filters. Always written with it.
CREATE TABLE device_labels (
    key   TEXT    NOT NULL,
    value TEXT    NOT NULL,
    code  INTEGER NOT NULL REFERENCES devices (code) ON DELETE CASCADE,
    PRIMARY KEY (key, value, code)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_labels_by_device ON device_labels (code);

-- Roles made by people; the built-in ones are in the code. The filters are JSON lists.
CREATE TABLE roles (
    name      TEXT NOT NULL PRIMARY KEY,
    publish   TEXT NOT NULL,
    subscribe TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Operators' tokens and browsers' sessions: only keyed hashes of them.
CREATE TABLE operators (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    token        BLOB    NOT NULL UNIQUE CHECK (length(token) = 32),
    scope        TEXT    NOT NULL CHECK (scope IN ('read', 'operate', 'admin')),
    created_us   INTEGER NOT NULL,
    last_used_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE browser_sessions (
    session    BLOB    NOT NULL PRIMARY KEY CHECK (length(session) = 32),
    operator   TEXT    NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    csrf       TEXT    NOT NULL,
    expires_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX browser_sessions_by_expiry ON browser_sessions (expires_us);
CREATE INDEX browser_sessions_by_operator ON browser_sessions (operator);

-- How far each projection of the log has come: written in the same transaction as its effects.
CREATE TABLE projections (
    name       TEXT    NOT NULL PRIMARY KEY,
    log_offset INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Alerts. At most one that is not resolved per rule, device and dedup_key; a repeated raise counts up.
CREATE TABLE alerts (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    rule            TEXT    NOT NULL,
    device          TEXT    NOT NULL,
    severity        TEXT    NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    dedup_key       TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved')),
    message         TEXT    NOT NULL,
    num             REAL,
    opened_us       INTEGER NOT NULL,
    last_us         INTEGER NOT NULL,
    occurrences     INTEGER NOT NULL DEFAULT 1,
    acknowledged_us INTEGER,
    acknowledged_by TEXT,
    resolved_us     INTEGER,
    resolved_by     TEXT
) STRICT;
CREATE UNIQUE INDEX alerts_unresolved ON alerts (rule, device, dedup_key) WHERE state <> 'resolved';
CREATE INDEX alerts_by_state ON alerts (state, seq);
CREATE INDEX alerts_by_device ON alerts (device, seq);
CREATE INDEX alerts_by_rule ON alerts (rule, seq);

-- The raises and clears that were applied: an id that is here is ignored (rules repeat them after a crash).
CREATE TABLE alert_events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT    NOT NULL UNIQUE,
    alert   TEXT,
    state   TEXT    NOT NULL CHECK (state IN ('raise', 'clear')),
    message TEXT    NOT NULL,
    num     REAL,
    ts_us   INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_events_by_alert ON alert_events (alert, seq) WHERE alert IS NOT NULL;

-- Commands to devices and what became of them. parameters and output are JSON.
CREATE TABLE commands (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    device      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    parameters  TEXT    NOT NULL,
    issuer      TEXT    NOT NULL,
    state       TEXT    NOT NULL
                CHECK (state IN ('queued', 'sent', 'delivered', 'succeeded', 'failed', 'expired')),
    created_us  INTEGER NOT NULL,
    deadline_us INTEGER,
    updated_us  INTEGER NOT NULL,
    output      TEXT    NOT NULL DEFAULT 'null'
) STRICT;
CREATE INDEX commands_by_device ON commands (device, seq);
CREATE INDEX commands_queued ON commands (device) WHERE state = 'queued';
CREATE INDEX commands_pending ON commands (deadline_us) WHERE state IN ('queued', 'sent', 'delivered');

-- Rules as they were written. Owned by mohhos.stream.
CREATE TABLE rules (
    name       TEXT    NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL,
    sql        TEXT    NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
