"""What a clip shows before any chance enters: who is there when, and its body normalisation.

Training asks for it in every epoch: `survey` keeps it for as long as the clip lives. Who needs it once
takes `measure`, which keeps nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from train.data.clip import Clip
from train.data.normalise import Affine, affine
from train.skeletons import Layout


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """there: bool [M, F], the person has a joint that is not zero; frames: int64 [K], those with anybody;
    present: bool [M]; body: the affine map of the normalisation, or None for min-max, which depends on
    the augmentation."""

    there: NDArray[np.bool_]
    frames: NDArray[np.int64]
    present: NDArray[np.bool_]
    body: Affine | None


_KNOWN: WeakKeyDictionary[Clip, dict[tuple[str, str], Survey]] = WeakKeyDictionary()


def survey(clip: Clip, normalise: str, layout: Layout) -> Survey:
    """The survey of a clip, measured at the first call."""
    known = _KNOWN.setdefault(clip, {})
    key = (normalise, layout.name)
    if key not in known:
        known[key] = measure(clip, normalise, layout)
    return known[key]


def measure(clip: Clip, normalise: str, layout: Layout) -> Survey:
    """The survey of a clip."""
    there = clip.joints.any(axis=(2, 3))
    return Survey(
        there=there,
        frames=np.flatnonzero(there.any(axis=0)),
        present=there.any(axis=1),
        body=None if normalise == "minmax" else affine(normalise, bodies(clip, there), layout),
    )


def bodies(clip: Clip, there: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[K, V, 3]: the bodies that are there, frame by frame, the persons of a frame in order."""
    if len(there) == 1 and there.all():
        return clip.joints[0]
    return clip.joints.swapaxes(0, 1)[there.T]
