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

-- What follows reads figures by the quarter of an hour and commune, so $__interval is never shorter; a wider one takes
-- the mean of its quarters.

-- name: readings_per_minute
SELECT $__timeGroup(a.ts, $__interval) AS time, {kind_name}::text AS metric,
       sum(a.readings) / (15.0 * count(DISTINCT a.ts)) AS value
FROM {quarters} a
WHERE $__timeFilter(a.ts) AND a.commune IN (${commune:sqlstring})
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
SELECT $__timeGroup(a.ts, $__interval) AS time, min(a.{min}) AS {low_title},
       sum(a.{mean}::float8 * a.{n}) / nullif(sum(a.{n}), 0) AS {mean_title}, max(a.{max}) AS {high_title}
FROM {quarters} a
WHERE $__timeFilter(a.ts) AND a.{n} > 0 AND a.commune IN (${commune:sqlstring})
GROUP BY 1 ORDER BY 1

-- name: measures
SELECT $__timeGroup(a.ts, $__interval) AS time, {means}
FROM {quarters} a
WHERE $__timeFilter(a.ts) AND a.type = {type} AND a.commune IN (${commune:sqlstring})
GROUP BY 1 ORDER BY 1

-- name: mean
sum(a.{mean}::float8 * a.{n}) / nullif(sum(a.{n}), 0) AS {title}

-- name: nights
-- The lowest hour of each night: of all devices of a type in a commune together.
SELECT n.night AS time, n.commune AS metric, min(n.value) AS value
FROM (
    SELECT date_trunc('day', a.ts, {timezone}) AS night, a.commune, a.{sum} AS value
    FROM {hours} a
    WHERE $__timeFilter(a.ts) AND a.type = {type} AND a.{n} > 0
      AND extract(hour FROM a.ts AT TIME ZONE {timezone}) BETWEEN 1 AND 4 AND a.commune IN (${commune:sqlstring})
) n GROUP BY 1, 2 ORDER BY 1, 2

-- name: increase
SELECT $__timeGroup(d.ts, '1h') AS time, {type_label} AS metric, sum(d.{increase}) AS value
FROM (SELECT {kind}::text AS kind, a.* FROM {hours} a) d
WHERE $__timeFilter(d.ts) AND d.{increase} IS NOT NULL AND d.commune IN (${commune:sqlstring})
GROUP BY 1, d.kind, d.type ORDER BY 1

-- name: flags
SELECT $__timeGroup(q.ts, $__interval) AS time, {flag_counts}
FROM (
    SELECT a.ts, {flag_sums} FROM {quarters} a
    WHERE $__timeFilter(a.ts) AND a.commune IN (${commune:sqlstring})
    GROUP BY a.ts
) q GROUP BY 1 ORDER BY 1

-- name: flag_count
max(q.{field}) AS {title}

-- name: flag_sum
sum(a.{devices}) AS {field}

-- name: indicator
-- A figure that the city watches (devices/), as the rules' own state gave it at the end of each quarter.
SELECT $__timeGroup(q.ts, $__interval) AS time, avg(q.value) AS {indicator_title}
FROM (
    SELECT i.ts, {figure} AS value FROM indicator_sample i
    WHERE $__timeFilter(i.ts) AND i.kind = {kind} AND i.indicator = {indicator} AND i.commune IN (${commune:sqlstring})
    GROUP BY i.ts
) q GROUP BY 1 ORDER BY 1

-- name: figure_share
100 * sum(i.total) / nullif(sum(i.counted), 0)

-- name: figure_mean
sum(i.total) / nullif(sum(i.counted), 0)

-- name: figure_sum
sum(i.total)

-- name: password
ALTER ROLE beffroi_grafana PASSWORD {password}

-- name: drop_view
DROP VIEW IF EXISTS grafana.{table}

-- name: view
CREATE VIEW grafana.{table} AS SELECT {columns} FROM public.{table}

-- name: grant
GRANT SELECT ON grafana.{table} TO beffroi_grafana
