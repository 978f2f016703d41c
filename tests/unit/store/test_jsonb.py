"""JSON that PostgreSQL can keep."""

import json

import pytest

from store.jsonb import jsonb


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
        ({"a\x00": ["b\x00c"]}, {"a\ufffd": ["b\ufffdc"]}),
        ({"n": 2**63 - 1, "m": -(2**63) + 1}, {"n": 2**63 - 1, "m": -(2**63) + 1}),
        ({"n": 2**80}, {"n": "1.208926e+24"}),
        ({"n": 10**400}, {"n": "a number of more than 300 digits"}),
    ],
)
def test_what_is_kept(value: object, kept: object) -> None:
    assert json.loads(jsonb(value)) == kept
