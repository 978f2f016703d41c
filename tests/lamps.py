"""Lamps that hang from nothing and a night that they go through, the same for any number of crowds."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from ingest import checkpoint
from simulators.packets import Publish
from tests.database import fetch

BEGAN = datetime.now(UTC) - timedelta(hours=4)
LIT_W, DARK_W = 58.0, 0.3
CROWD, STEPS, STEP_MIN = 25, 12, 6
OF_THIS_RUN = ("heard_us", "watched_us")
"""Parts of the rules' state that tell when the hub heard, which no two runs have in common."""


def crowd(prefix: str) -> list[str]:
    """The lamps of a crowd."""
    return [f"{prefix}{number:02}" for number in range(CROWD)]


def device_file(path: Path, lamps: Sequence[str]) -> Path:
    """A file of lamps for `beffroi devices import`."""
    rows = [f"dijon,street_lighting,{lamp},lamp,60" for lamp in lamps]
    path.write_text("\n".join(["commune,kind,id,type,rated_power_w", *rows]))
    return path


def batch(*readings: tuple[str, float, float]) -> Publish:
    """One message of lamps, minutes and watts; all are told to shine."""
    told = [
        {"id": lamp, "ts": (BEGAN + timedelta(minutes=minute)).isoformat(), "dim_pct": 100, "power_w": power_w}
        for lamp, minute, power_w in readings
    ]
    return Publish("city/dijon/street_lighting/gateway/batch", msgspec.json.encode(told))


def night(prefix: str) -> list[Publish]:
    """What a crowd tells, step by step: some lamps are dark for longer than the rule's hold, some come back."""
    chance = random.Random(2)
    powers = [[chance.choice((LIT_W, DARK_W, DARK_W)) for _ in range(CROWD)] for _ in range(STEPS)]
    lamps = crowd(prefix)
    return [
        batch(*((lamp, i * STEP_MIN, power) for lamp, power in zip(lamps, powers[i], strict=True)))
        for i in range(STEPS)
    ]


async def incidents(database_url: str, prefix: str) -> list[tuple[object, ...]]:
    """Lamp (without the prefix), code, state, quiet, beginning and end of every incident."""
    rows = await fetch(
        database_url,
        "SELECT d.id, i.* FROM incident i JOIN device d ON d.device_no = i.cause_no WHERE d.id LIKE %s"
        " ORDER BY d.id, i.opened_at, i.code",
        f"{prefix}%",
    )
    return [
        (str(r["id"]).removeprefix(prefix), r["code"], r["state"], r["quiet"], r["opened_at"], r["cleared_at"])
        for r in rows
    ]


async def rule_state(database_url: str, home: Path, prefix: str) -> Mapping[str, list[object]]:
    """What the rules' checkpoint knows of a crowd, in the order of its lamps."""
    rows = await fetch(database_url, "SELECT device_no FROM device WHERE id LIKE %s ORDER BY id", f"{prefix}%")
    saved = checkpoint.load(home / "rules.npz")
    assert saved is not None and len(rows) == CROWD
    state = saved.state["street_lighting"]
    order = {int(number): row for row, number in enumerate(state["device_no"])}
    lamps = np.array([order[int(str(row["device_no"]))] for row in rows])
    return {
        name: np.nan_to_num(of[lamps].astype(float), nan=-1).tolist()
        for name, of in state.items()
        if name not in ("device_no", *OF_THIS_RUN)
    }
