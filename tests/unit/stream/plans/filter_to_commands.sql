INSERT INTO commands (device, name, parameters, deadline)
SELECT device, 'stop', '{"reason":"pressure"}', ts + INTERVAL '30' SECOND
FROM pumps
WHERE pressure > 8.5 AND valve IS NOT FALSE
