"""TimescaleDB: schema, migrations, COPY and queries. The only folder that says SQL."""
