INSERT INTO alerts (device, dedup_key, state, message, num)
SELECT device, 'pressure', CASE WHEN STDDEV_POP(pressure) > 0.5 THEN 'raise' ELSE 'clear' END,
  'pressure is unsteady', STDDEV_POP(pressure)
FROM TABLE(TUMBLE(TABLE pumps, DESCRIPTOR(ts), INTERVAL '10' SECOND))
WHERE mode = 'run'
GROUP BY device, window_start, window_end
HAVING COUNT(*) >= 5 AND COUNT(*) FILTER (WHERE pressure IS NULL) = 0
