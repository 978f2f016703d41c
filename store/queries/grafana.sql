-- What Grafana's panels ask, as the role beffroi_grafana, whose search path finds the views of the schema grafana.
-- {names} are filled in from the declarations. $__timeFilter and the like are Grafana's macros of time, expanded by
-- its PostgreSQL data source.
-- ${commune:sqlstring} is the choice at the top of the page, as a list of SQL strings.

-- One choice at least: of none, Grafana would make a list that is no SQL.
-- name: communes
SELECT DISTINCT commune FROM device
UNION ALL SELECT '-' WHERE NOT EXISTS (SELECT FROM device)
ORDER BY commune

-- name: open_by_priority
SELECT count(*) FILTER (WHERE priority = 1) AS "P1",
       count(*) FILTER (WHERE priority = 2) AS "P2",
       count(*) FILTER (WHERE priority = 3) AS "P3"
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE i.state <> 'closed' AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})

-- name: open_by_kind
SELECT {kind_label} AS {kind_title},
       count(*) FILTER (WHERE i.priority = 1) AS "P1",
       count(*) FILTER (WHERE i.priority = 2) AS "P2",
       count(*) FILTER (WHERE i.priority = 3) AS "P3"
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE i.state <> 'closed' AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})
GROUP BY i.kind ORDER BY count(*) FILTER (WHERE i.priority = 1) DESC, count(*) DESC, i.kind

-- name: open_by_age
SELECT a.label AS {age_title},
       count(o.priority) FILTER (WHERE o.priority = 1) AS "P1",
       count(o.priority) FILTER (WHERE o.priority = 2) AS "P2",
       count(o.priority) FILTER (WHERE o.priority = 3) AS "P3"
FROM (VALUES (1, {age_1}, interval '0', interval '1 hour'),
             (2, {age_2}, interval '1 hour', interval '4 hours'),
             (3, {age_3}, interval '4 hours', interval '1 day'),
             (4, {age_4}, interval '1 day', interval '7 days'),
             (5, {age_5}, interval '7 days', interval '1000 years')) AS a (place, label, youngest, oldest)
LEFT JOIN (
    SELECT i.priority, greatest(now() - i.opened_at, interval '0') AS age
    FROM incident i JOIN device d ON d.device_no = i.cause_no
    WHERE i.state <> 'closed' AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})
) o ON o.age >= a.youngest AND o.age < a.oldest
GROUP BY a.place, a.label ORDER BY a.place

-- name: open_by_code
SELECT {code_label} AS {code_title}, count(*) AS {count_title}
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE i.state <> 'closed' AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})
GROUP BY i.kind, i.code ORDER BY count(*) DESC, 1 LIMIT 20

-- name: open_by_commune
SELECT d.commune AS {commune_title}, count(*) AS {count_title}
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE i.state <> 'closed' AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})
GROUP BY d.commune ORDER BY count(*) DESC, 1 LIMIT 20

-- name: open_list
SELECT i.priority AS "P", i.opened_at AS {since_title}, {code_label} AS {code_title},
       coalesce(d.label, d.id) AS {device_title}, d.street AS {street_title}, d.commune AS {commune_title},
       {state_label} AS {state_title}, i.incident_no AS "no"
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE i.state <> 'closed' AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})
ORDER BY i.priority, i.opened_at LIMIT 200

-- name: unacknowledged
SELECT count(*) AS n
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE i.state = 'new' AND i.priority <= 2 AND i.quiet IS NULL
  AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})

-- name: time_to_acknowledge
SELECT extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY i.acknowledged_at - i.detected_at)) AS s
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE i.acknowledged_at IS NOT NULL AND $__timeFilter(i.detected_at)
  AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})

-- name: time_to_clear
SELECT extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY i.cleared_at - i.opened_at)) AS s
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE i.cleared_at IS NOT NULL AND $__timeFilter(i.opened_at)
  AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})

-- name: opened
SELECT $__timeGroup(i.opened_at, $__interval) AS time, 'P' || i.priority AS metric, count(*) AS value
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE $__timeFilter(i.opened_at) AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})
GROUP BY 1, 2 ORDER BY 1

-- name: opened_by_code
SELECT {code_label} AS {code_title}, count(*) AS {count_title}
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE $__timeFilter(i.opened_at) AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})
GROUP BY i.kind, i.code ORDER BY count(*) DESC, 1 LIMIT 20

-- name: repeated
SELECT coalesce(d.label, d.id) AS {device_title}, {code_label} AS {code_title}, d.commune AS {commune_title},
       count(*) AS {count_title}, max(i.opened_at) AS {last_title}
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE $__timeFilter(i.opened_at) AND i.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})
GROUP BY d.device_no, d.label, d.id, d.commune, i.kind, i.code HAVING count(*) > 1
ORDER BY count(*) DESC, 1, 2 LIMIT 50

-- name: silent_count
SELECT count(DISTINCT s.device_no) AS n
FROM (
    SELECT cause_no AS device_no FROM incident WHERE state <> 'closed' AND ({silence_of_incident})
    UNION ALL
    SELECT device_no FROM incident_member WHERE until IS NULL AND code IN ({silence_codes})
) s JOIN device d USING (device_no)
WHERE d.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})

-- name: silent
SELECT min(s.since) AS {since_title}, coalesce(d.label, d.id) AS {device_title}, {type_label} AS {type_title},
       d.street AS {street_title}, d.commune AS {commune_title}
FROM (
    SELECT cause_no AS device_no, opened_at AS since FROM incident
    WHERE state <> 'closed' AND ({silence_of_incident})
    UNION ALL
    SELECT device_no, since FROM incident_member WHERE until IS NULL AND code IN ({silence_codes})
) s JOIN device d USING (device_no)
WHERE d.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})
GROUP BY d.device_no, d.label, d.id, d.kind, d.type, d.street, d.commune ORDER BY 1 LIMIT 200

-- name: never_heard
SELECT count(*) AS n FROM device d
WHERE d.commissioned_at IS NOT NULL AND d.first_seen_at IS NULL
  AND d.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})

-- name: to_commission
SELECT count(*) AS n FROM device d
WHERE d.commissioned_at IS NULL AND d.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})

-- name: devices
SELECT {type_label} AS metric, count(*) AS value FROM device d
WHERE d.commissioned_at IS NOT NULL AND d.kind IN ({kinds}) AND d.commune IN (${commune:sqlstring})
GROUP BY d.kind, d.type ORDER BY count(*) DESC

-- name: readings_per_minute
SELECT $__timeGroup(r.ts, $__interval) AS time, {kind_name}::text AS metric,
       count(*) * 60000.0 / $__interval_ms AS value
FROM {table} r JOIN device d USING (device_no)
WHERE $__timeFilter(r.ts) AND d.commune IN (${commune:sqlstring})
GROUP BY 1 ORDER BY 1

-- name: delay
SELECT $__timeGroup(r.ts, $__interval) AS time,
       extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY r.received_at - r.ts)) AS {half_title},
       extract(epoch FROM percentile_cont(0.95) WITHIN GROUP (ORDER BY r.received_at - r.ts)) AS {most_title}
FROM {table} r JOIN device d USING (device_no)
WHERE $__timeFilter(r.ts) AND NOT r.time_flagged AND d.commune IN (${commune:sqlstring})
GROUP BY 1 ORDER BY 1

-- name: quarantined
SELECT $__timeGroup(received_at, $__interval) AS time, reason AS metric, count(*) AS value
FROM quarantine WHERE $__timeFilter(received_at) GROUP BY 1, 2 ORDER BY 1

-- name: readers
SELECT name AS {reader_title}, moved_at AS {last_title}, messages AS {messages_title},
       messages_quarantined + readings_quarantined AS {quarantined_title}
FROM reader ORDER BY name

-- name: measure
SELECT $__timeGroup(r.ts, $__interval) AS time, min(r.{field}) AS {low_title}, avg(r.{field}) AS {mean_title},
       max(r.{field}) AS {high_title}
FROM {table} r JOIN device d USING (device_no)
WHERE $__timeFilter(r.ts) AND r.{field} IS NOT NULL AND d.commune IN (${commune:sqlstring})
GROUP BY 1 ORDER BY 1

-- name: measures
SELECT $__timeGroup(r.ts, $__interval) AS time, {means}
FROM {table} r JOIN device d USING (device_no)
WHERE $__timeFilter(r.ts) AND d.type = {type} AND d.commune IN (${commune:sqlstring})
GROUP BY 1 ORDER BY 1

-- name: mean
avg(r.{field}) AS {title}

-- name: increase
SELECT $__timeGroup(s.ts, '1h') AS time, {type_label} AS metric,
       sum(CASE WHEN s.now >= s.before THEN s.now - s.before ELSE s.now END) AS value
FROM (
    SELECT device_no, ts, {field} AS now,
           lag({field}) OVER (PARTITION BY device_no ORDER BY ts) AS before
    FROM {table} WHERE $__timeFilter(ts) AND {field} IS NOT NULL
) s JOIN device d USING (device_no)
WHERE s.before IS NOT NULL AND d.commune IN (${commune:sqlstring})
GROUP BY 1, d.kind, d.type ORDER BY 1

-- name: flags
SELECT $__timeGroup(r.ts, $__interval) AS time, {flag_counts}
FROM {table} r JOIN device d USING (device_no)
WHERE $__timeFilter(r.ts) AND d.commune IN (${commune:sqlstring})
GROUP BY 1 ORDER BY 1

-- name: flag_count
count(DISTINCT r.device_no) FILTER (WHERE r.{field}) AS {title}

-- name: trend_street_lighting_lit
-- Of the lamps that are told to shine, the share that draws at least 15 % of what their dimming level asks for: the
-- contrary of `dark` in devices/street_lighting.py. Without a rated power, a lamp that draws more than 1 W is lit.
SELECT $__timeGroup(r.ts, '15m') AS time,
       100.0 * count(*) FILTER (
           WHERE r.lamp_failure IS NOT TRUE
             AND r.power_w >= coalesce((d.attributes ->> 'rated_power_w')::float8 * r.dim_pct / 100 * 0.15, 1)
       ) / count(*) AS {trend_title}
FROM street_lighting r JOIN device d USING (device_no)
WHERE $__timeFilter(r.ts) AND d.type = 'lamp' AND r.dim_pct > 0 AND r.power_w IS NOT NULL
  AND d.commune IN (${commune:sqlstring})
GROUP BY 1 ORDER BY 1

-- name: trend_street_lighting_power
-- Power of all lamps: the mean of each lamp in the quarter of an hour, summed.
SELECT time, sum(mean_w) / 1000 AS {trend_title}
FROM (
    SELECT $__timeGroup(r.ts, '15m') AS time, r.device_no, avg(r.power_w) AS mean_w
    FROM street_lighting r JOIN device d USING (device_no)
    WHERE $__timeFilter(r.ts) AND d.type = 'lamp' AND r.power_w IS NOT NULL AND d.commune IN (${commune:sqlstring})
    GROUP BY 1, 2
) means
GROUP BY 1 ORDER BY 1

-- name: trend_water_meter_read
-- Of the meters of the registry, the share that was read on each of the city's days.
SELECT time_bucket('1 day', r.ts, {timezone}) AS time,
       100.0 * count(DISTINCT r.device_no)
       / nullif((SELECT count(*) FROM device d WHERE d.kind = 'water_meter' AND d.commissioned_at IS NOT NULL
                 AND d.commune IN (${commune:sqlstring})), 0) AS {trend_title}
FROM water_meter r JOIN device d USING (device_no)
WHERE $__timeFilter(r.ts) AND d.commissioned_at IS NOT NULL AND d.commune IN (${commune:sqlstring})
GROUP BY 1 ORDER BY 1

-- name: trend_fleet_vehicle_on_duty
-- Vehicles heard on duty; off duty nothing is kept.
SELECT $__timeGroup(r.ts, '5m') AS time, count(DISTINCT r.device_no) AS {trend_title}
FROM fleet_vehicle r JOIN device d USING (device_no)
WHERE $__timeFilter(r.ts) AND d.commune IN (${commune:sqlstring})
GROUP BY 1 ORDER BY 1

-- name: password
ALTER ROLE beffroi_grafana PASSWORD {password}

-- name: drop_view
DROP VIEW IF EXISTS grafana.{table}

-- name: view
CREATE VIEW grafana.{table} AS SELECT {columns} FROM public.{table}

-- name: grant
GRANT SELECT ON grafana.{table} TO beffroi_grafana
