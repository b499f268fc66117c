"""What `verify` holds a sigma-delta pose network against beside the targets: dense integers, and floats."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convert.artifact import Artifact
from convert.passes.lower import lower
from deploy.dense import dense_values, without_thresholds
from deploy.loihi_sim import LoihiSim
from deploy.pose.sigma_delta import MapReader
from deploy.record import Record
from deploy.reference import values
from deploy.verify import Comparison, compare
from verbs.options import cores
from verbs.output import say

Values = Mapping[str, np.ndarray]
NAME = "dense integers"


def dense_comparison(opened: Artifact, x: np.ndarray) -> tuple[Comparison, Values]:
    """The integer ReLU network of the artifact's weights, frame by frame, against what loihi-sim's messages
    add up to when no threshold holds any back; and the dense network's sums of the readouts.

    What stands in the place of spikes are the layers' values that are not 0. Of neurons with `carry`, which
    `convert` makes by default, the two are the same; without, sums drift, and nothing is promised.
    """
    plain = without_thresholds(opened.graph("integer"))
    exact = all(getattr(node, "carry", True) for node in plain.nodes.values())
    senders, sums = plain.spiking(), plain.outputs
    order = (*senders, *sums)
    want = dense_values(plain, x)
    runner = LoihiSim(cores()).compile(lower(plain, opened.about["quantisation"]["bits"]))
    try:
        sent = runner.run(x, order).rasters
    finally:
        runner.close()
    got = {n: np.cumsum(sent[n], axis=0, dtype=np.int64) for n in senders} | {n: sent[n] for n in sums}
    rasters = {n: want[n] for n in order}
    found = compare(NAME, exact, order, Record({}, {}, len(x), rasters), Record({}, {}, len(x), got))
    return found, {n: want[n] for n in sums}


def joints_apart(opened: Artifact, x: np.ndarray, sums: Values, dense: Values) -> dict[str, np.ndarray]:
    """Distance [T, N, K] of the joints of all frames to the dense integers' and the float network's, input
    pixels. No promise: thresholds hold changes back, and integers round.
    """
    reader = MapReader.load(opened)
    xy = reader.decoded(sums)[0]
    floating = values(opened.graph("float"), np.asarray(x, np.float64))
    others = {"dense integers": reader.decoded(dense)[0], "float": reader.read(floating)[0]}
    return {name: np.linalg.norm(xy - other, axis=-1) for name, other in others.items()}


def say_apart(apart: Mapping[str, Mapping[str, float]], threshold: float) -> None:
    """A line for each."""
    for name, px in apart.items():
        say(
            "joints of all frames lie {median_px:.3g} px (median), {p99_px:.3g} (99 of 100), {max_px:.3g} "
            "(most) from those of ".format(**px)
            + f"{name}; threshold {threshold:g}, no promise"
        )
