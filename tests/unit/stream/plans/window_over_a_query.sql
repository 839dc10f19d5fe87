INSERT INTO alerts (device, num)
WITH flowing AS (
  SELECT device, pressure / NULLIF(flow, 0) AS resistance, ts AS moment FROM pumps WHERE flow > 0.1
), means AS (
  SELECT device, AVG(resistance) AS mean, MAX(resistance) AS greatest
  FROM TABLE(TUMBLE(TABLE flowing, DESCRIPTOR(moment), INTERVAL '1' MINUTE, INTERVAL '-15' SECOND))
  GROUP BY device, window_start, window_end
)
SELECT device, greatest - mean FROM means WHERE greatest > 2 * mean
