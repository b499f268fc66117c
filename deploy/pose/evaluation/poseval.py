"""What poseval, the program behind PoseTrack's published figures, does otherwise: for comparison with those.

Read in its last revision (October 2020). With `poseval_compat`:
    MOTA leaves the last frame of every sequence out
    a frame without annotated persons is left out of everything, and its false positives with it; of HOTA too,
        which poseval does not compute: the three figures stand together and judge the same frames
    a frame in which either side has no joint left counts one miss and one false positive for every joint,
        however many there are
    the total MOTA is the mean over the joints, not MOTA of the summed counts
Not reproduced: its MOTP, which sums distances of all near pairs, matched or not, as its motmetrics lists
them; and an AP of 0 for a joint that is neither annotated nor predicted, which it takes into the mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deploy.pose.evaluation.mota import Step
from deploy.pose.evaluation.pairing import Pair


def annotated(pairs: Sequence[Pair]) -> list[Pair]:
    """The frames poseval sees: those with an annotated person."""
    return [pair for pair in pairs if pair.annotated]


def empty(pair: Pair) -> bool:
    """Whether it counts the frame by its placeholder."""
    return not len(pair.truth_ids) or not len(pair.found_ids)


def placeholder() -> Step:
    """One object, one prediction, too far from each other. Object -1 is nobody's, so no match is
    forgotten.
    """
    return Step(np.array([-1]), np.array([-1]), np.full((1, 1), np.nan))
