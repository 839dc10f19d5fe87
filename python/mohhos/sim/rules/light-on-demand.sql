-- A street light that burns at half power though its meter says it is dark enough for full light: set the level.
CREATE TABLE lights (
  device STRING, level DOUBLE, `power` DOUBLE, `on` BOOLEAN, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('topic' = 'devices/+/telemetry');
INSERT INTO commands (device, name, parameters)
SELECT device, 'set_level', '{"level": 80}'
FROM lights
WHERE level = 100 AND `on` AND `power` < 60;
