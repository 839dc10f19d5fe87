"""Functions of Flink that rules have not: why, and what to write instead."""

__all__ = ["MISSING"]

_CLOCK = "A rule works on event time, so that it gives the same rows again after a restart; use ts or window_end"
_WINDOW = "Aggregate in a window: COUNT, SUM, AVG, MIN, MAX, STDDEV_POP, STDDEV_SAMP, VAR_POP, VAR_SAMP"
_ORDER = "Compare MIN and MAX in a window, or join messages of a device with a table of several columns"
_PATTERN = "Write LIKE with % and _, or POSITION, STARTSWITH, ENDSWITH"
_RANDOM = "A rule gives the same rows for the same readings; take a column"

MISSING: dict[str, str] = {
    **dict.fromkeys(
        (
            "CURRENT_TIMESTAMP",
            "CURRENT_DATE",
            "CURRENT_TIME",
            "CURRENT_ROW_TIMESTAMP",
            "CURRENT_WATERMARK",
            "LOCALTIME",
            "LOCALTIMESTAMP",
            "NOW",
            "PROCTIME",
            "UNIX_TIMESTAMP",
        ),
        _CLOCK,
    ),
    **dict.fromkeys(("RAND", "RAND_INTEGER", "UUID"), _RANDOM),
    **dict.fromkeys(
        (
            "COLLECT",
            "LISTAGG",
            "ARRAY_AGG",
            "JSON_ARRAYAGG",
            "JSON_OBJECTAGG",
            "PERCENTILE",
            "APPROX_COUNT_DISTINCT",
            "COVAR_POP",
            "COVAR_SAMP",
            "CORR",
        ),
        _WINDOW,
    ),
    **dict.fromkeys(
        (
            "FIRST_VALUE",
            "LAST_VALUE",
            "LAG",
            "LEAD",
            "ROW_NUMBER",
            "RANK",
            "DENSE_RANK",
            "NTILE",
            "NTH_VALUE",
            "CUME_DIST",
            "PERCENT_RANK",
        ),
        _ORDER,
    ),
    **dict.fromkeys(("REGEXP", "REGEXP_EXTRACT", "REGEXP_REPLACE", "REGEXP_COUNT", "REGEXP_SUBSTR"), _PATTERN),
    **dict.fromkeys(
        ("DATE_FORMAT", "TO_TIMESTAMP", "TO_TIMESTAMP_LTZ", "TO_DATE", "FROM_UNIXTIME"),
        "Write TRY_CAST(text AS TIMESTAMP(3)), CAST(ts AS STRING) or EXTRACT(HOUR FROM ts)",
    ),
    **dict.fromkeys(("JSON_QUERY", "JSON_EXISTS", "JSON_OBJECT", "JSON_ARRAY"), "Use JSON_VALUE, or join text with ||"),
}
"""Upper-case name to what to write instead."""
