-- People and sessions. Sessions run on the machine's own time, whatever clock the hub is on.

-- name: person
SELECT login, password_hash, role, language FROM person WHERE login = %(login)s

-- name: put_person
INSERT INTO person (login, password_hash, role, language)
VALUES (%(login)s, %(password_hash)s, %(role)s, %(language)s)
ON CONFLICT (login) DO UPDATE SET password_hash = excluded.password_hash, role = excluded.role

-- name: open_session
INSERT INTO session (token_hash, login, expires_at)
VALUES (%(token_hash)s, %(login)s, now() + make_interval(hours => %(hours)s))

-- name: person_of_session
SELECT login, role, language FROM session JOIN person USING (login)
WHERE token_hash = %(token_hash)s AND expires_at > now()

-- name: close_session
DELETE FROM session WHERE token_hash = %(token_hash)s

-- name: forget_expired
DELETE FROM session WHERE expires_at <= now()

-- name: set_language
UPDATE person SET language = %(language)s WHERE login = %(login)s
