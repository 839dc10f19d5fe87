"""The rules that run during the measurements."""

from typing import Final

__all__ = ["HOT", "REACTION", "THROUGHPUT"]

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
