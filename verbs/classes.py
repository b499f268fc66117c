"""What a classifier got right, class by class: as a table, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from train.confusion import confusion, mistaken
from verbs.output import table


def judged(labels: np.ndarray, predictions: np.ndarray, classes: int) -> dict[str, Any]:
    """Accuracy (a share) and confusion (row the label, column the prediction) of predictions [n]."""
    return {
        "accuracy": float((predictions == labels).mean()),
        "right": int((predictions == labels).sum()),
        "confusion": confusion(labels, predictions, classes).tolist(),
    }


def per_class(names: Sequence[str], found: Mapping[str, Sequence[Sequence[int]]]) -> str:
    """A row a class: its samples, what each confusion of `found` has right of them, and what the last one
    takes it for most often."""
    counts = {title: np.array(rows, np.int64) for title, rows in found.items()}
    last = list(counts.values())[-1]
    rows = [
        (
            name,
            int(last[k].sum()),
            *(_share(int(c[k, k]), int(c[k].sum())) for c in counts.values()),
            f"{names[taken[0]]} ({taken[1]})" if taken else "-",
        )
        for k, (name, taken) in enumerate(zip(names, mistaken(last), strict=True))
    ]
    return table(("class", "samples", *counts, "most often taken for"), rows, right=range(1, 2 + len(counts)))


def percent(share: float | None) -> str:
    """A share as a percentage, - for none."""
    return "-" if share is None else f"{100 * share:.2f} %"


def _share(right: int, of: int) -> str:
    return f"{100 * right / of:.1f} %" if of else "-"
