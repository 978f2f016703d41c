"""Formulas of indicators that any kind can have: what its devices show, and how lately they were read. Pure."""

from devices.kind import Column, Mask, State

DAY_S = 86_400


def sound(state: Column) -> Mask:
    """Devices that speak and show no fault."""
    return (state == State.NORMAL) | (state == State.RESTING)


def at_fault(state: Column) -> Mask:
    """Devices that show a fault."""
    return state >= State.FAULT_P3


def silent(state: Column) -> Mask:
    """Devices that should have spoken: cut off, or out of reach."""
    return state == State.SILENT


def read_in_24_h(reading_age_s: Column) -> Mask:
    """Devices whose newest reading is a day old at most."""
    return reading_age_s <= DAY_S


def read_in_72_h(reading_age_s: Column) -> Mask:
    """Devices whose newest reading is three days old at most."""
    return reading_age_s <= 3 * DAY_S
