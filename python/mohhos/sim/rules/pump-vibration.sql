-- Vibration that points to a bearing.
INSERT INTO alerts (device, severity, message, num)
SELECT device, 'warning', 'vibration is high: look at the bearing', num
FROM telemetry
WHERE metric = 'vibration' AND num > 1.5;
