"""ONNX scan model against PyTorch eager on one Base-SGN: same input, one run, interleaved, as ratios.

    eager step    one frame at a time, the state and the last frames of each convolution kept in Python
    eager window  `BaseSGN.forward`: all steps at once where the model allows it, fused neuron loops
    scan          the ONNX scan model through ONNX Runtime
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from train.models.base_sgn import BaseSGN
from train.step import Params, State, rest, spike_step


class EagerStep:
    """A Base-SGN run frame by frame: x [T, N, C, V] -> scores [N, classes], equal to its forward."""

    def __init__(self, model: BaseSGN) -> None:
        self.model = model.eval()
        self.states: dict[str, State] = {}
        self.pasts: dict[str, list[Tensor]] = {}

    def __call__(self, x: Tensor) -> Tensor:
        self.states, self.pasts = {}, {}
        model, total = self.model, None
        for frame in x.split(1):
            s = self._spikes("embed", model.embed_spike, model.embed_norm(model.embed(frame)))
            for i, block in enumerate(model.blocks):
                a = block.graph_norm(block.graph(s)) + block.residual(s)
                z = self._spikes(f"graph{i}", block.graph_spike, a)
                a = block.steps_norm(self._step_conv(f"steps{i}", block.steps.weight, z)) + z
                s = self._spikes(f"steps{i}", block.steps_spike, a)
            scores = model.head(model.joint_mean(s))[0]
            total = scores if total is None else total + scores
        return total / len(x)

    def _spikes(self, name: str, neuron: torch.nn.Module, a: Tensor) -> Tensor:
        params = Params(1.0, float(neuron.dv), float(neuron.threshold))
        s, self.states[name] = spike_step(a, self.states.get(name) or rest(a), params, "sigmoid")
        return s

    def _step_conv(self, name: str, weight: Tensor, z: Tensor) -> Tensor:
        """The newest frame and the K - 1 before it through one convolution, [1, N, out, V]."""
        past = self.pasts.get(name) or [torch.zeros_like(z)] * (weight.shape[2] - 1)
        frames = [*past, z]
        self.pasts[name] = frames[1:]
        window = torch.cat(frames).permute(1, 2, 0, 3)
        return torch.nn.functional.conv2d(window, weight.flip(2)[..., None]).permute(2, 0, 1, 3)


def seconds(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median wall time of each, in turns, so that a busy machine is busy for all alike."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return {name: float(np.median(times[1:])) for name, times in taken.items()}  # the first one warms up
