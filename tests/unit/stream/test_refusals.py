"""What is refused: each text with its code, its place, the piece of text to blame, and what the hint says."""
# ruff: noqa: E501 - one case a line

from collections.abc import Callable

import pytest

from mohhos.stream.errors import RuleError

Refusal = Callable[[str], RuleError]

INTO = "INSERT INTO alerts (device) "
FROM_WINDOW = "FROM TABLE(TUMBLE(TABLE pumps, DESCRIPTOR(ts), INTERVAL '10' SECOND))"
LONG_WINDOW = FROM_WINDOW.replace("'10' SECOND", "'401' DAY(3)")
BY = "GROUP BY device, window_start, window_end"

# text, code, line, column, offending text, a part of the hint
CASES = [
    # the text itself
    ("", "rule-syntax", 1, 1, "", "INSERT INTO alerts"),
    (";;", "rule-syntax", 1, 3, "", "INSERT INTO alerts"),
    ("SELECT device FROM pumps", "rule-syntax", 1, 1, "SELECT", "INSERT INTO alerts"),
    ("DROP TABLE pumps", "rule-unsupported", 1, 1, "DROP", "CREATE TABLE"),
    ("HELLO", "rule-syntax", 1, 1, "HELLO", "INSERT INTO"),
    (INTO + "SELECT device FROM pumps SELECT", "rule-syntax", 1, 54, "SELECT", "`SELECT`"),
    (INTO + "SELECT device\nFROM pumps\nWHERE mode = 'a", "rule-syntax", 3, 14, "'", "twice"),
    (INTO + "SELECT device FROM pumps /* open", "rule-syntax", 1, 54, "/*", "*/"),
    (INTO + "SELECT /*+ STATE_TTL('t' = '1d') */ device FROM pumps", "rule-unsupported", 1, 36, "/*+", "out"),
    (INTO + 'SELECT "device" FROM pumps', "rule-syntax", 1, 36, '"', "`name`"),
    (INTO + "SELECT device::STRING FROM pumps", "rule-syntax", 1, 42, ":", "CAST"),
    (INTO + "SELECT device FROM pumps WHERE speed != 1", "rule-syntax", 1, 66, "!", "<>"),
    (INTO + "SELECT device FROM pumps WHERE speed == 1", "rule-syntax", 1, 67, "=", "before it"),
    (INTO + "SELECT device, FROM pumps", "rule-reserved", 1, 44, "FROM", "`FROM`"),
    (INTO + "SELECT 1speed FROM pumps", "rule-syntax", 1, 36, "1s", "back quotes"),
    (INTO + "SELECT N'x' FROM pumps", "rule-syntax", 1, 36, "N", "plain string"),
    (INTO + "SELECT 'a' 'b' FROM pumps", "rule-syntax", 1, 40, "'b'", "||"),
    (INTO + "SELECT CASE WHEN valve 1 END FROM pumps", "rule-syntax", 1, 52, "1", "before it"),
    (INTO + "SELECT device FROM pumps WHERE speed BETWEEN 1 2", "rule-syntax", 1, 76, "2", "before it"),
    (INTO + "SELECT device FROM pumps; " + INTO + "SELECT device FROM pumps", "rule-syntax", 1, 55, INTO + "SELECT device FROM pumps", "rule of its own"),
    # names
    (INTO + "SELECT value FROM pumps", "rule-reserved", 1, 36, "value", "`value`"),
    (INTO + "SELECT device AS result FROM pumps", "rule-reserved", 1, 46, "result", "`result`"),
    (INTO + "SELECT device FROM groups", "rule-reserved", 1, 48, "groups", "`groups`"),
    (INTO + "SELECT presure FROM pumps", "rule-column", 1, 36, "presure", "Did you mean pressure?"),
    (INTO + "SELECT Device FROM pumps", "rule-column", 1, 36, "Device", "Write device: names are case-sensitive"),
    (INTO + "SELECT p.device FROM pumps", "rule-table", 1, 36, "p", "Write pumps"),
    (INTO + "SELECT pumps.device FROM pumps AS p", "rule-table", 1, 36, "pumps", "Write p"),
    (INTO + "SELECT a.b.device FROM pumps", "rule-column", 1, 36, "a.b.device", "table.column"),
    (INTO + "SELECT device FROM pump", "rule-table", 1, 48, "pump", "Did you mean pumps?"),
    (INTO + "SELECT device FROM alerts", "rule-table", 1, 48, "alerts", "telemetry"),
    (INTO + "SELECT device FROM db.pumps", "rule-table", 1, 48, "db", "alone"),
    ("INSERT INTO alarms (device) SELECT device FROM pumps", "rule-table", 1, 13, "alarms", "Did you mean alerts?"),
    ("INSERT INTO telemetry SELECT * FROM telemetry", "rule-sink", 1, 13, "telemetry", "topic.column"),
    ("INSERT INTO pumps SELECT * FROM pumps", "rule-sink", 1, 13, "pumps", "without + and #"),
    ("INSERT INTO alerts (devise) SELECT device FROM pumps", "rule-column", 1, 21, "devise", "Did you mean device?"),
    (INTO + "SELECT x FROM (SELECT speed AS x, total AS x FROM pumps) AS q", "rule-column", 1, 36, "x", "AS"),
    (INTO + "SELECT avgg(speed) " + FROM_WINDOW + BY, "rule-function", 1, 36, "avgg", "Did you mean AVG?"),
    # the sink
    ("INSERT INTO alerts SELECT device, 'x' FROM pumps", "rule-sink", 1, 20, "SELECT device, 'x' FROM pumps", "INSERT INTO alerts (device, message)"),
    ("INSERT INTO alerts (message) SELECT mode FROM pumps", "rule-sink", 1, 13, "alerts", "Add device"),
    ("INSERT INTO commands (device) SELECT device FROM pumps", "rule-sink", 1, 13, "commands", "Add name"),
    ("INSERT INTO alerts (device, num) SELECT device, mode FROM pumps", "rule-sink", 1, 49, "mode", "TRY_CAST"),
    ("INSERT INTO alerts (device, message) SELECT device, speed FROM pumps", "rule-sink", 1, 53, "speed", "CAST(… AS STRING)"),
    ("INSERT INTO alerts (device, device) SELECT device, device FROM pumps", "rule-sink", 1, 29, "device", "out"),
    ("INSERT INTO alerts (device, rule) SELECT device, 'other' FROM pumps", "rule-sink", 1, 50, "'other'", "Leave it out"),
    ("INSERT INTO alerts (device, rule) SELECT device, 'a-rule' || '' FROM pumps", "rule-sink", 1, 50, "'a-rule' || ''", "Leave it out"),
    # not yet
    (INTO + "SELECT device FROM pumps JOIN telemetry ON TRUE", "rule-unsupported", 1, 54, "JOIN", "one column for each"),
    (INTO + "SELECT device FROM pumps, telemetry", "rule-unsupported", 1, 53, ",", "one column for each"),
    (INTO + "SELECT device FROM pumps MATCH_RECOGNIZE (PATTERN (A))", "rule-unsupported", 1, 54, "MATCH_RECOGNIZE", "TUMBLE"),
    (INTO + "SELECT LAG(speed) OVER (PARTITION BY device ORDER BY ts) FROM pumps", "rule-unsupported", 1, 47, "OVER", "TUMBLE"),
    (INTO + "SELECT device FROM pumps UNION ALL SELECT device FROM pumps", "rule-unsupported", 1, 54, "UNION", "one rule for each"),
    (INTO + "SELECT DISTINCT device FROM pumps", "rule-unsupported", 1, 36, "DISTINCT", "window"),
    (INTO + "SELECT device FROM pumps ORDER BY ts", "rule-unsupported", 1, 54, "ORDER", "out"),
    (INTO + "SELECT device FROM pumps LIMIT 1", "rule-unsupported", 1, 54, "LIMIT", "WHERE"),
    (INTO + "SELECT device FROM pumps WHERE device IN (SELECT device FROM pumps)", "rule-unsupported", 1, 71, "SELECT", "List"),
    (INTO + "SELECT device FROM pumps FOR SYSTEM_TIME AS OF ts", "rule-unsupported", 1, 54, "FOR", "into its text"),
    (INTO + "SELECT device " + FROM_WINDOW.replace("TUMBLE", "HOP"), "rule-unsupported", 1, 54, "HOP", "TUMBLE"),
    (INTO + "SELECT device " + FROM_WINDOW.replace("TUMBLE", "CUMULATE"), "rule-unsupported", 1, 54, "CUMULATE", "TUMBLE"),
    (INTO + "SELECT device " + FROM_WINDOW.replace("TUMBLE", "SESSION"), "rule-unsupported", 1, 54, "SESSION", "TUMBLE"),
    (INTO + "SELECT device FROM HOP(TABLE pumps, DESCRIPTOR(ts))", "rule-syntax", 1, 48, "HOP", "TABLE(TUMBLE("),
    # windows
    (INTO + "SELECT device FROM pumps GROUP BY device", "rule-window", 1, 63, "device", "TUMBLE"),
    (INTO + "SELECT device FROM pumps HAVING speed > 1", "rule-window", 1, 61, "speed > 1", "TUMBLE"),
    (INTO + "SELECT device FROM pumps WHERE AVG(speed) > 1", "rule-window", 1, 60, "AVG(speed)", "HAVING"),
    (INTO + f"SELECT device {FROM_WINDOW}", "rule-window", 1, 48, FROM_WINDOW[5:], "GROUP BY device, window_start"),
    (INTO + f"SELECT device {FROM_WINDOW} GROUP BY device", "rule-window", 1, 122, "device", "window_end"),
    (INTO + f"SELECT device {FROM_WINDOW} GROUP BY device, window_start", "rule-window", 1, 122, "device, window_start", "window_end"),
    (INTO + f"SELECT mode {FROM_WINDOW} {BY}", "rule-window", 1, 36, "mode", "MAX(mode)"),
    (INTO + f"SELECT *, device {FROM_WINDOW} {BY}", "rule-window", 1, 36, "*", "Name the keys"),
    ("INSERT INTO commands (device, name, deadline) SELECT device, 'x', window_time " + f"{FROM_WINDOW} {BY}", "rule-window", 1, 67, "window_time", "Add window_time"),
    (INTO + f"SELECT device {FROM_WINDOW} WHERE window_start > ts {BY}", "rule-unsupported", 1, 119, "window_start", "HAVING"),
    (INTO + f"SELECT device {FROM_WINDOW} {BY} HAVING AVG(AVG(speed)) > 1", "rule-window", 1, 166, "AVG(speed)", "HAVING"),
    (INTO + f"SELECT device {FROM_WINDOW} {BY} HAVING COUNT(DISTINCT mode) > 1", "rule-unsupported", 1, 162, "COUNT(DISTINCT mode)", "without"),
    (INTO + f"SELECT device {FROM_WINDOW} {BY} HAVING SUM(valve) > 1", "rule-type", 1, 166, "valve", "CASE WHEN"),
    (INTO + f"SELECT device {FROM_WINDOW} {BY} HAVING SUM(*) > 1", "rule-function", 1, 162, "SUM(*)", "COUNT(*)"),
    (INTO + f"SELECT device {FROM_WINDOW} {BY} HAVING COUNT(mode, device) > 1", "rule-function", 1, 162, "COUNT(mode, device)", "COUNT(*)"),
    (INTO + f"SELECT device {FROM_WINDOW.replace('(ts)', '(speed)')} {BY}", "rule-window", 1, 85, "speed", "WATERMARK"),
    (INTO + f"SELECT device {FROM_WINDOW.replace('(ts)', '(tss)')} {BY}", "rule-column", 1, 85, "tss", "Did you mean ts?"),
    (INTO + f"SELECT device {FROM_WINDOW.replace('10', '0')} {BY}", "rule-window", 1, 90, "INTERVAL '0' SECOND", "INTERVAL '10' SECOND"),
    (INTO + f"SELECT device {FROM_WINDOW.replace('10', '100')} {BY}", "rule-syntax", 1, 99, "'100'", "SECOND(3)"),
    (INTO + "WITH w AS (SELECT device, window_time " + f"{FROM_WINDOW} {BY}, window_time) SELECT device {FROM_WINDOW.replace('pumps', 'w').replace('(ts)', '(window_time)')} {BY}", "rule-unsupported", 1, 212, "TABLE(TUMBLE(TABLE w, DESCRIPTOR(window_time), INTERVAL '10' SECOND))", "longer window"),
    (
        INTO + f"SELECT device {LONG_WINDOW} {BY}",
        "rule-window",
        1,
        90,
        "INTERVAL '401' DAY(3)",
        "INTERVAL '10' SECOND",
    ),
    (
        INTO + "SELECT JSON_VALUE(mode, '$.a' RETURNING STRING) FROM pumps",
        "rule-unsupported",
        1,
        59,
        "RETURNING",
        "TRY_CAST",
    ),
    # two event times in one result
    ("CREATE TABLE o (device STRING, a TIMESTAMP(3), b TIMESTAMP(3)) WITH ('topic' = 'o'); INSERT INTO o SELECT device, ts, ts FROM pumps", "rule-unsafe", 1, 100, "SELECT device, ts, ts FROM pumps", "CAST(… AS TIMESTAMP(3))"),
    # a query that nobody reads is looked at as well
    (INTO + "WITH x AS (SELECT nothing FROM pumps) SELECT device FROM pumps", "rule-column", 1, 47, "nothing", "There are"),
    ("CREATE VIEW v AS SELECT nothing FROM pumps; " + INTO + "SELECT device FROM pumps", "rule-column", 1, 25, "nothing", "There are"),
    (INTO + "WITH x AS (SELECT device FROM x) SELECT device FROM x", "rule-table", 1, 59, "x", "CREATE TABLE"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "code", "line", "column", "text", "hint"), CASES, ids=[c[0][-60:] for c in CASES])
def test_a_refusal_says_where_why_and_what_to_do(
    sql: str, code: str, line: int, column: int, text: str, hint: str, refusal: Refusal
) -> None:
    error = refusal(sql)
    assert (error.code, error.line, error.column, error.text) == (code, line, column, text), error
    assert hint in error.hint, error
    assert error.reason


def test_an_error_reads_as_one_line_with_its_place(refusal: Refusal) -> None:
    error = refusal(INTO + "SELECT presure\nFROM pumps")
    assert (
        str(error)
        == "line 1, column 36: there is no column presure (at 'presure'). Did you mean pressure? [rule-column]"
    )
    assert error.problem()["line"] == 1
    assert error.problem()["code"] == "rule-column"


def test_a_long_piece_of_text_is_cut(refusal: Refusal) -> None:
    error = refusal("INSERT INTO alerts SELECT " + ", ".join(["device"] * 100) + " FROM pumps")
    assert error.text.endswith("…")
    assert len(error.text) < 130
