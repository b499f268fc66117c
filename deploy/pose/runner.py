"""A converted pose network as a runner: images in, joints out, the decoder in the graph.

An image is a sample of its own at every step: nothing is held from one to the next.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import final

import numpy as np

from convert.ir import BadInput, Graph, Input
from deploy.pose.network import PoseNetwork
from deploy.record import Record
from deploy.target import Runner, check_input


@final
class PoseRunner(Runner):
    """network: what runs. graph: what it was made from, whose Input says how its images are counted."""

    def __init__(self, network: PoseNetwork, graph: Graph) -> None:
        self._network, self._source = network, graph.input()
        source = graph.nodes[self._source]
        if not isinstance(source, Input):
            raise BadInput(f"{self._source}: a {type(source).__name__}, expected images as an Input")
        self._input = source

    def run(self, x: np.ndarray, rasters: Collection[str] = ()) -> Record:
        """x: [T, N, 3, H, W]. outputs: 'xy' [N, K, 2] pixels of the input and 'score' [N, K] of the last
        step; the input is the one raster there is, BadInput for another."""
        check_input(x, self._input.shape)
        if odd := sorted(set(rasters) - {self._source}):
            raise BadInput(f"{odd[0]}: a pose network sends no spikes; ask for {self._source} alone")
        start = time.perf_counter()
        xy, score = self._network.joints(x.reshape(-1, *x.shape[2:]))
        wall_s = time.perf_counter() - start
        last = {"xy": xy[-x.shape[1] :], "score": score[-x.shape[1] :]}
        seen = {self._source: self._input.encode(x)} if rasters else {}
        return Record(last, {}, len(x), seen, wall_s)
