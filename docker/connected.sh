#!/bin/sh
# Health of a process of the hub: has its container an open connection to each of these ports? With --alive NAME before
# them: does it also give a sign of life (hub/alive.py) within three seconds? With --page: does the page answer on that
# port, and reach database and broker?
set -eu
table="${PROC_NET:-/proc/net}"

if [ "${1:-}" = --alive ]; then
    sign="${BEFFROI_HOME:-.beffroi}/alive/$2"
    before=$(od -An -tx8 "$sign")
    sleep 1
    if [ "$before" = "$(od -An -tx8 "$sign")" ]; then
        sleep 2
        [ "$before" != "$(od -An -tx8 "$sign")" ] || { echo "$2 gives no sign of life: it hangs"; exit 1; }
    fi
    shift 2
fi

if [ "${1:-}" = --page ]; then
    exec python3 -c '
import json, sys, urllib.request
page = f"http://127.0.0.1:{sys.argv[1]}/healthz"
health = json.load(urllib.request.urlopen(page, timeout=4))
missing = [what for what in ("page", "database", "broker") if not health[what]]
sys.exit(f"the page does not reach: {missing}" if missing else 0)
' "$2"
fi

for port in "$@"; do
    # Lines of /proc/net/tcp: number, local address, remote address, state; 01 is an open connection.
    end=$(printf ':%04X 01 ' "$port")
    if ! cat "$table/tcp" "$table/tcp6" 2>/dev/null | grep -q "$end"; then
        echo "no connection to port $port"
        exit 1
    fi
done
