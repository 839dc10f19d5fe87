-- An alert for every boiler that reports more than 90 °C.
INSERT INTO alerts (device, severity, message, num)
SELECT device, 'critical', 'too hot', num
FROM telemetry
WHERE metric = 'temperature' AND num > 90;
