"""The embedded servers: TimescaleDB, Mosquitto and, for tests, Chromium, unpacked into the hub's home."""
