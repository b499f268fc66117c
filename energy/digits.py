"""Quantities as people read them: a fitting unit, and no digit that the spread of conventions does not allow.

A digit is printed if its place is not below the leading place of the spread: 114.7 uJ where conventions lie
26 uJ apart is 110 uJ. At least one digit remains; without a spread there are three.
"""

from __future__ import annotations

import math

UNITS = ((1e12, "J"), (1e9, "mJ"), (1e6, "uJ"), (1e3, "nJ"), (1.0, "pJ"))  # pJ in one unit
_MOST = 3


def unit_of(pj: float) -> tuple[float, str]:
    """(pJ in one unit, its name): the largest unit that is not above the value."""
    return next(((f, n) for f, n in UNITS if abs(pj) >= f), UNITS[-1])


def quantity(pj: float, digits: int = 4) -> str:
    """Picojoules in a fitting unit with so many significant digits."""
    factor, name = unit_of(pj)
    return f"{pj / factor:.{digits}g} {name}"


def allowed(pj: float, low: float, high: float) -> int:
    """Decimal places (negative: tens, hundreds) of pJ that a spread low..high lets be printed."""
    if pj <= 0:
        return 0
    most, least = _MOST - 1 - math.floor(math.log10(pj)), -math.floor(math.log10(pj))
    if high <= low:
        return most
    return max(least, min(most, -math.floor(math.log10(high - low))))


def honest(pj: float, low: float, high: float) -> str:
    """A value and its spread, such as '110 uJ (90 to 110 uJ)'; the value alone without a spread.

    A bound keeps one digit at least, in its own unit where it is that far off: '200 uJ (400 nJ to 200 uJ)'.
    """
    places = allowed(pj, low, high)
    value, unit = _shown(pj, places)
    if high <= low:
        return f"{value} {unit}"
    wide = min(places, -math.floor(math.log10(high - low)))
    (least, below), (most, above) = _shown(low, wide), _shown(high, wide)
    if below == above:
        return f"{value} {unit} ({least} to {most} {above})"
    return f"{value} {unit} ({least} {below} to {most} {above})"


def _shown(pj: float, places: int) -> tuple[str, str]:
    """(number, unit), rounded to so many decimal places of pJ, but never to nothing."""
    if pj > 0:
        places = max(places, -math.floor(math.log10(pj)))
    rounded = round(pj, places)
    factor, name = unit_of(rounded)
    decimals = max(0, places + round(math.log10(factor)))
    return f"{rounded / factor:.{decimals}f}", name
