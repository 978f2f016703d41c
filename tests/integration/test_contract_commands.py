"""`beffroi contracts` and `beffroi keys`, as a person calls them."""

from pathlib import Path

from tests.commands import beffroi
from tests.database import one

CONTRACT = """
- name: eau-2026
  provider: Odivea
  kinds: [water_meter]
  communes: [dijon]
  from: 2026-01-01
"""


async def test_a_contract_gets_a_key_which_is_listed_and_revoked(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "contracts.yaml"
    file.write_text(CONTRACT)
    assert await beffroi(database_url, tmp_path, "contracts", "import", str(file)) == (
        0,
        "1 added, 0 changed, 0 unchanged\n",
    )
    code, token = await beffroi(database_url, tmp_path, "keys", "add", "eau-2026", "Service", "--scope", "read")
    assert code == 0 and token.startswith("bfr_")
    prefix = token.split("_")[1]
    code, keys = await beffroi(database_url, tmp_path, "keys", "list")
    assert prefix in keys and "good" in keys and token.strip() not in keys
    assert (await beffroi(database_url, tmp_path, "keys", "revoke", prefix))[0] == 0
    row = await one(database_url, "SELECT revoked_at, scopes FROM api_key WHERE prefix = %s", prefix)
    assert row["revoked_at"] is not None and row["scopes"] == ["read"]


async def test_what_is_wrong_is_one_sentence(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "contracts.yaml"
    file.write_text(CONTRACT.replace("water_meter", "rockets"))
    code, answer = await beffroi(database_url, tmp_path, "contracts", "import", str(file))
    assert code == 1 and "there is no kind rockets" in answer and answer.count("\n") == 1


async def test_what_is_empty_is_listed_too(database_url: str, tmp_path: Path) -> None:
    for arguments in (("contracts", "list"), ("contracts", "accesses", "eau-2026")):
        code, listed = await beffroi(database_url, tmp_path, *arguments)
        assert code == 0 and "contract" in listed
