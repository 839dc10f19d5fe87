CREATE TABLE per_hour (name STRING, `hour` BIGINT, mean DOUBLE, until_time TIMESTAMP(3))
  WITH ('topic' = 'site/per-hour', 'retain' = 'true');
INSERT INTO per_hour
SELECT UPPER(mode), HOUR(window_start), AVG(total + 0e0), window_end
FROM TABLE(TUMBLE(TABLE pumps, DESCRIPTOR(ts), INTERVAL '1' HOUR)) AS w
GROUP BY UPPER(w.mode), window_start, window_end
