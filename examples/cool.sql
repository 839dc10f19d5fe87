-- Cools a device down by itself: a mean above 70 °C over ten seconds sends it a command.
INSERT INTO commands (device, name, parameters)
SELECT device, 'set_level', '{"level": 40}'
FROM TABLE(TUMBLE(TABLE telemetry, DESCRIPTOR(ts), INTERVAL '10' SECOND))
WHERE metric = 'temperature'
GROUP BY device, window_start, window_end
HAVING AVG(num) > 70;
