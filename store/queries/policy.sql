-- Rules of a city's own, thresholds that it has tuned, and how that came about.

-- name: version
SELECT coalesce(max(version), 0) AS version FROM policy_version;

-- name: lock
LOCK TABLE policy_version IN EXCLUSIVE MODE;

-- name: rules
SELECT rule::text AS rule, is_removed FROM own_rule ORDER BY kind, code;

-- name: overrides
SELECT kind, code, threshold, value, scope, place FROM rule_override ORDER BY kind, code, threshold, scope, place;

-- name: add_version
INSERT INTO policy_version (version, at, who, what, undoes, changes)
VALUES (%(version)s, %(at)s, %(who)s, %(what)s, %(undoes)s, %(changes)s::jsonb);

-- name: put_rule
INSERT INTO own_rule (kind, code, rule) VALUES (%(kind)s, %(code)s, %(rule)s::jsonb)
ON CONFLICT (kind, code) DO UPDATE SET rule = EXCLUDED.rule, is_removed = false;

-- name: remove_rule
UPDATE own_rule SET is_removed = true WHERE (kind, code) = (%(kind)s, %(code)s);

-- name: put_override
INSERT INTO rule_override (kind, code, threshold, scope, place, value)
VALUES (%(kind)s, %(code)s, %(threshold)s, %(scope)s, %(place)s, %(value)s)
ON CONFLICT (kind, code, threshold, scope, place) DO UPDATE SET value = EXCLUDED.value;

-- name: remove_override
DELETE FROM rule_override
WHERE (kind, code, threshold, scope, place) = (%(kind)s, %(code)s, %(threshold)s, %(scope)s, %(place)s);

-- name: one
SELECT version, at, who, what, undoes, changes::text AS changes FROM policy_version WHERE version = %(version)s;

-- name: history
SELECT version, at, who, what, undoes, changes::text AS changes FROM policy_version
WHERE %(before)s::bigint IS NULL OR version < %(before)s
ORDER BY version DESC LIMIT %(limit)s;

-- name: later
SELECT version, at, who, what, undoes, changes::text AS changes FROM policy_version
WHERE version > %(version)s ORDER BY version DESC;

-- name: device_by_name
SELECT device_no FROM device WHERE kind = %(kind)s AND commune = %(commune)s AND id = %(id)s;

-- name: device_by_number
SELECT device_no FROM device WHERE kind = %(kind)s AND device_no = %(device_no)s;

-- name: communes
SELECT DISTINCT commune AS name FROM device WHERE kind = %(kind)s ORDER BY 1;

-- name: models
SELECT DISTINCT model AS name FROM device WHERE kind = %(kind)s AND model IS NOT NULL ORDER BY 1;

-- name: names
SELECT device_no, commune || '/' || id AS name FROM device WHERE device_no = ANY (%(numbers)s::integer[]);
