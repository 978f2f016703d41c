#!/bin/sh
# Makes the file .env with the secrets of docker-compose.yml, for its owner's eyes only. A secret that is there stays as
# it is: the database knows it from its first start.
set -eu
umask 077
cd "$(dirname "$0")/.."
file="${1:-.env}"
touch "$file"
chmod 600 "$file"

for name in DATABASE_ADMIN_PASSWORD DATABASE_PASSWORD GRAFANA_DATABASE_PASSWORD GRAFANA_ADMIN_PASSWORD; do
    if ! grep -q "^$name=." "$file"; then
        # 32 letters and digits: 190 bits, and nothing that a URL or a shell would read otherwise.
        echo "$name=$(head -c 4096 /dev/urandom | LC_ALL=C tr -dc 'A-Za-z0-9' | cut -c1-32)" >>"$file"
    fi
done
echo "The secrets are in $file. Grafana's first account is operator, with GRAFANA_ADMIN_PASSWORD."
