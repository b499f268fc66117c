"""What the verbs about poses share: sigmas, notes, percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
import numpy as np

from convert.ir import BadInput
from deploy.pose.joints import SETS, set_of, sigmas


def sigmas_of(text: str | None, joints: Sequence[str]) -> tuple[np.ndarray, str]:
    """Sigmas [K] and where they come from: of a named set, S1,S2,... as given, else by the joints' names."""
    if text is None:
        known = set_of(joints)
        if known is None:
            return sigmas(joints), "by joint names, ours"
        return sigmas(joints), f"{known.name}'s" if known.published else f"{known.name}: by joint names, ours"
    made = sigmas(SETS[text].joints) if text in SETS else _listed(text)
    if len(made) != len(joints):
        raise BadInput(f"--sigmas {text}: {len(made)} sigmas for {len(joints)} joints")
    return made, f"--sigmas {text}"


def _listed(text: str) -> np.ndarray:
    try:
        made = np.array([float(part) for part in text.split(",")])
    except ValueError:
        known = ", ".join(SETS)
        raise BadInput(f"--sigmas {text}: expected one of {known}, or numbers S1,S2,...") from None
    if not (np.isfinite(made).all() and (made > 0).all()):
        raise BadInput(f"--sigmas {text}: sigmas must be above 0")
    return made


def show_notes(notes: Mapping[str, int]) -> None:
    """What readers mended or dropped, on stderr: the result stays alone on stdout."""
    for text, count in notes.items():
        click.echo(f"note: {count} x {text}", err=True)


def percent(value: float | None) -> str:
    """One decimal; '-' where there is no number."""
    return "-" if value is None or np.isnan(value) else f"{value:.1f}"
