#!/bin/sh
# Run once by the database's image, on an empty volume: the hub's role, which owns the hub's database and is no
# superuser. The image has made the database, with TimescaleDB in it.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$HUB_PASSWORD" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE beffroi LOGIN CREATEROLE PASSWORD :'password';
ALTER DATABASE beffroi OWNER TO beffroi;
SQL
