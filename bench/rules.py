"""The rules that run during the measurements."""

from typing import Final

__all__ = ["HOT", "REACTION", "TEN", "THROUGHPUT"]

HOT: Final = 29.9999
"""What the generator's highest temperature is: one message in 100,000."""

THROUGHPUT: Final = {
    "bench-filter": f"""
INSERT INTO alerts (device, severity, message, num)
SELECT device, 'critical', 'temperature is high', num
FROM telemetry
WHERE metric = 'temperature' AND num >= {HOT}
""",
    # The mean of evenly distributed values stays at 25: the window is computed for every device, and says nothing.
    "bench-window": """
INSERT INTO alerts (device, message, num)
SELECT device, 'mean temperature is high', AVG(num)
FROM TABLE(TUMBLE(TABLE telemetry, DESCRIPTOR(ts), INTERVAL '10' SECOND))
WHERE metric = 'temperature'
GROUP BY device, window_start, window_end
HAVING AVG(num) > 29
""",
}

_SILENT: Final = {
    "bench-range": "metric = 'temperature' AND (num < 10 OR num > 40)",
    "bench-arithmetic": "metric = 'temperature' AND num * 1.8 + 32 > 90",
    "bench-case": "CASE WHEN metric = 'temperature' THEN num > 35 ELSE num < 0 END",
    "bench-quality": "quality = 'clock' AND num IS NOT NULL",
}

_WINDOWS: Final = {
    "bench-peak": ("'30' SECOND", "MAX(num)", "MAX(num) > 40"),
    "bench-count": ("'1' MINUTE", "COUNT(*)", "COUNT(*) < 0"),
    "bench-spread": ("'10' SECOND", "MAX(num) - MIN(num)", "MAX(num) - MIN(num) > 50"),
    "bench-deviation": ("'1' MINUTE", "STDDEV_POP(num)", "STDDEV_POP(num) > 50"),
}

TEN: Final = (
    THROUGHPUT
    | {
        name: f"INSERT INTO alerts (device, message, num) SELECT device, '{name}', num FROM telemetry WHERE {condition}"
        for name, condition in _SILENT.items()
    }
    | {
        name: f"""
INSERT INTO alerts (device, message, num)
SELECT device, '{name}', {what}
FROM TABLE(TUMBLE(TABLE telemetry, DESCRIPTOR(ts), INTERVAL {size}))
WHERE metric = 'temperature'
GROUP BY device, window_start, window_end
HAVING {having}
"""
        for name, (size, what, having) in _WINDOWS.items()
    }
)
"""Ten rules of both kinds; those beside the first two look at everything and say nothing."""

REACTION: Final = {
    "bench-reaction": """
CREATE TABLE bench (
  temperature DOUBLE, due BIGINT, device STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('topic' = 'devices/+/telemetry/bench');
INSERT INTO commands (device, name, parameters)
SELECT device, 'cool', CONCAT('{"due":', CAST(due AS STRING), '}')
FROM bench
WHERE temperature > 80
""",
}
