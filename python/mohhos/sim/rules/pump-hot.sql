-- A pump whose mean temperature over ten seconds is above 75 °C.
INSERT INTO alerts (device, severity, message, num)
SELECT device, 'critical', CONCAT('pump is hot: ', CAST(ROUND(AVG(num), 1) AS STRING), ' °C'), AVG(num)
FROM TABLE(TUMBLE(TABLE telemetry, DESCRIPTOR(ts), INTERVAL '10' SECOND))
WHERE metric = 'temperature' AND device LIKE 'pump-%'
GROUP BY device, window_start, window_end
HAVING AVG(num) > 75;
