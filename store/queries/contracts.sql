-- Contracts, their keys and the record of what they asked; run as the hub's own role.

-- name: put_contract
INSERT INTO contract (name, provider, kinds, communes, from_day, to_day, time_zone, vehicle_positions,
                      household_readings, purpose, role)
VALUES (%(name)s, %(provider)s, %(kinds)s, %(communes)s, %(from_day)s, %(to_day)s, %(time_zone)s,
        %(vehicle_positions)s, %(household_readings)s, %(purpose)s, gen_random_uuid()::text)
ON CONFLICT (name) DO UPDATE SET
    provider = excluded.provider, kinds = excluded.kinds, communes = excluded.communes,
    from_day = excluded.from_day, to_day = excluded.to_day, time_zone = excluded.time_zone,
    vehicle_positions = excluded.vehicle_positions, household_readings = excluded.household_readings,
    purpose = excluded.purpose, changed_at = now()
WHERE (contract.provider, contract.kinds, contract.communes, contract.from_day, contract.to_day, contract.time_zone,
       contract.vehicle_positions, contract.household_readings, contract.purpose)
    IS DISTINCT FROM
      (excluded.provider, excluded.kinds, excluded.communes, excluded.from_day, excluded.to_day, excluded.time_zone,
       excluded.vehicle_positions, excluded.household_readings, excluded.purpose)
RETURNING xmax = 0 AS is_new

-- name: name_role
-- Roles belong to the whole server, so the name carries the database's.
UPDATE contract SET role = format('%%s_contract_%%s', left(current_database(), 40), contract_no)
WHERE name = %(name)s AND role::text ~ '^[0-9a-f-]{36}$'  -- as it was inserted, before it had a number

-- name: admit
SELECT admit_contract(contract_no) FROM contract WHERE name = %(name)s

-- name: contracts
SELECT contract_no, name, provider, kinds, communes, from_day, to_day, time_zone, vehicle_positions,
       household_readings, purpose, role
FROM contract ORDER BY name

-- name: add_key
INSERT INTO api_key (prefix, secret_hash, contract_no, holder, scopes, expires_at)
SELECT %(prefix)s, %(secret_hash)s, contract_no, %(holder)s, %(scopes)s, now() + make_interval(days => %(days)s)
FROM contract WHERE name = %(contract)s
RETURNING key_no

-- name: keys
SELECT k.prefix, c.name AS contract, k.holder, k.scopes, k.created_at, k.expires_at, k.last_used_at, k.revoked_at,
       k.expires_at <= now() AS is_expired
FROM api_key k JOIN contract c USING (contract_no)
ORDER BY k.created_at DESC

-- name: revoke
UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE prefix = %(prefix)s RETURNING key_no

-- name: key
SELECT k.key_no, k.prefix, k.secret_hash, k.holder, k.scopes, k.expires_at, k.revoked_at,
       k.expires_at <= now() AS is_expired, c.contract_no, c.name AS contract, c.role
FROM api_key k JOIN contract c USING (contract_no)
WHERE k.prefix = %(prefix)s

-- name: used
UPDATE api_key SET last_used_at = now()
WHERE key_no = %(key_no)s AND coalesce(last_used_at, '-infinity') < now() - interval '10 seconds'

-- name: asked
INSERT INTO contract_access (contract_no, key_no, what, asked)
VALUES (%(contract_no)s, %(key_no)s, %(what)s, %(asked)s)
RETURNING access_no

-- name: answered
UPDATE contract_access SET answered_at = clock_timestamp(), rows = %(rows)s, refused = %(refused)s
WHERE access_no = %(access_no)s

-- name: accesses
SELECT a.at, c.name AS contract, k.prefix, k.holder, a.what, a.asked, a.answered_at, a.rows, a.refused
FROM contract_access a JOIN contract c USING (contract_no) JOIN api_key k USING (key_no)
WHERE %(contract)s::text IS NULL OR c.name = %(contract)s
ORDER BY a.access_no DESC LIMIT %(limit)s
