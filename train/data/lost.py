"""Joints that a sensor lost: filled from the same joint in the neighbouring frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fill_lost(joints: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """joints: float32 [F, V, 3], where exactly (0, 0, 0) marks a lost joint.

    Returns a copy in which each lost joint is interpolated linearly over time (held at the ends), and
    how many were filled. Only for formats in camera space, where no real joint sits in the sensor: in
    a centred format the origin is a place like any other. Frames that are empty as a whole stay so
    (nobody is there), and so does a joint that was never seen.
    """
    lost = ~joints.any(axis=2)
    empty = lost.all(axis=1)
    lost &= ~empty[:, None]
    filled = joints.copy()
    count = 0
    for joint in np.flatnonzero(lost.any(axis=0)):
        gaps = np.flatnonzero(lost[:, joint])
        known = np.flatnonzero(~lost[:, joint] & ~empty)
        if known.size == 0:
            continue
        for axis in range(joints.shape[2]):
            filled[gaps, joint, axis] = np.interp(gaps, known, joints[known, joint, axis])
        count += gaps.size
    return filled, count
