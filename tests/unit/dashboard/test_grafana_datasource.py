"""Where Grafana finds the database, from the hub's own address of it."""

import pytest

from dashboard.grafana.datasource import Database


@pytest.mark.parametrize(
    ("url", "address", "found"),
    [
        ("postgresql://beffroi:x@127.0.0.1:5433/beffroi", None, Database("127.0.0.1:5433", "beffroi", "disable")),
        ("postgresql://beffroi:x@database/beffroi", None, Database("database:5432", "beffroi", "disable")),
        ("postgresql://b:x@[::1]:5433/beffroi", None, Database("[::1]:5433", "beffroi", "disable")),
        ("postgresql://b:x@db/ville%20de%20Dijon", None, Database("db:5432", "ville de Dijon", "disable")),
        ("postgresql://b:x@db/b?sslmode=verify-full", None, Database("db:5432", "b", "verify-full")),
        ("postgresql://b:x@db/b?sslmode=prefer", None, Database("db:5432", "b", "disable")),
        ("postgresql://b:x@127.0.0.1:5433/b", "db.example:6000", Database("db.example:6000", "b", "disable")),
    ],
)
def test_the_database_is_where_the_hub_s_url_says(url, address, found):
    assert Database.of_url(url, address) == found
