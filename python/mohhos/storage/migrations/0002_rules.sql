-- Version 2: what rules need besides their present text (table rules of version 1). Owned by mohhos.stream.

-- Every version that ever ran. Kept when the rule is removed: a version's number is part of the ids of its results, so
-- it must never come again with another text.
CREATE TABLE rule_versions (
    rule       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    sql        TEXT    NOT NULL,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (rule, version)
) STRICT, WITHOUT ROWID;
INSERT INTO rule_versions (rule, version, sql, created_us) SELECT name, version, sql, updated_us FROM rules;

-- Declared tables: their CREATE TABLE statement, and the rule whose text holds it (NULL: put by itself). The engine knows
-- a table by its id, and a changed table gets a new one.
CREATE TABLE stream_tables (
    name        TEXT    NOT NULL PRIMARY KEY,
    id          INTEGER NOT NULL UNIQUE,
    sql         TEXT    NOT NULL,
    declared_by TEXT    REFERENCES rules (name),
    created_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The next id of a table; one row.
CREATE TABLE stream_table_ids (next INTEGER NOT NULL) STRICT;
INSERT INTO stream_table_ids (next) VALUES (1);

-- Which declared tables a rule reads or inserts into.
CREATE TABLE rule_tables (
    rule         TEXT NOT NULL REFERENCES rules (name) ON DELETE CASCADE,
    stream_table TEXT NOT NULL REFERENCES stream_tables (name),
    PRIMARY KEY (rule, stream_table)
) STRICT, WITHOUT ROWID;
CREATE INDEX rule_tables_by_table ON rule_tables (stream_table);
