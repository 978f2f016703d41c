-- Teams, people and sessions. Sessions run on the machine's own time, whatever clock the hub is on.

-- name: put_team
INSERT INTO team (name, kinds, communes) VALUES (%(name)s, %(kinds)s, %(communes)s)
ON CONFLICT (name) DO UPDATE SET kinds = excluded.kinds, communes = excluded.communes
RETURNING xmax = 0 AS is_new

-- name: team
SELECT name FROM team WHERE name = %(name)s

-- name: teams
SELECT name, kinds, communes, (SELECT count(*) FROM person p WHERE p.team = t.name) AS people
FROM team t ORDER BY name

-- name: people_of_team
SELECT ARRAY(SELECT login FROM person WHERE team = t.name ORDER BY login) AS logins FROM team t WHERE name = %(name)s

-- name: remove_team
DELETE FROM team WHERE name = %(name)s

-- name: add_person
INSERT INTO person (login, password_hash, role, language, team)
VALUES (%(login)s, %(password_hash)s, %(role)s, %(language)s, %(team)s)
ON CONFLICT (login) DO NOTHING

-- name: people
SELECT login, role, team, language,
       (SELECT count(*) FROM session s WHERE s.login = p.login AND s.expires_at > now()) AS sessions
FROM person p ORDER BY login

-- name: set_password
UPDATE person SET password_hash = %(password_hash)s WHERE login = %(login)s

-- name: remove_person
DELETE FROM person WHERE login = %(login)s

-- name: person
SELECT p.login, p.password_hash, p.role, p.language, t.name AS team, t.kinds, t.communes
FROM person p LEFT JOIN team t ON t.name = p.team WHERE p.login = %(login)s

-- name: put_person
INSERT INTO person (login, password_hash, role, language)
VALUES (%(login)s, %(password_hash)s, %(role)s, %(language)s)
ON CONFLICT (login) DO UPDATE SET password_hash = excluded.password_hash, role = excluded.role

-- name: open_session
INSERT INTO session (token_hash, login, expires_at)
VALUES (%(token_hash)s, %(login)s, now() + make_interval(hours => %(hours)s))

-- name: person_of_session
SELECT p.login, p.role, p.language, t.name AS team, t.kinds, t.communes
FROM session s JOIN person p USING (login) LEFT JOIN team t ON t.name = p.team
WHERE s.token_hash = %(token_hash)s AND s.expires_at > now()

-- name: close_session
DELETE FROM session WHERE token_hash = %(token_hash)s

-- name: close_sessions
DELETE FROM session WHERE login = %(login)s

-- name: forget_expired
DELETE FROM session WHERE expires_at <= now()

-- name: set_language
UPDATE person SET language = %(language)s WHERE login = %(login)s
