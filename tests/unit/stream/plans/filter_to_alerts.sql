INSERT INTO alerts (device, severity, message, num)
SELECT device, 'critical', 'temperature is ' || CAST(num AS STRING), num
FROM telemetry
WHERE metric = 'temperature' AND num > 80
