-- Fine dust far above what traffic makes.
INSERT INTO alerts (device, severity, message, num)
SELECT device, 'critical', 'fine dust is far above normal', num
FROM telemetry
WHERE metric = 'pm25' AND num > 80;
