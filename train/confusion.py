"""Right and wrong, class by class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def confusion(labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """int64 [K, K]: row the label, column the prediction; labels and predictions [n] count from 0."""
    pairs = np.asarray(labels, np.int64) * classes + predictions
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def mistaken(counts: NDArray[np.int64]) -> list[tuple[int, int] | None]:
    """For each class of a confusion [K, K], the class it is most often taken for and how often; the lower
    number on a tie, None where it never is."""
    off = np.array(counts)
    np.fill_diagonal(off, 0)
    return [(int(row.argmax()), int(row.max())) if row.any() else None for row in off]
