"""The layers of Base-SGN, Signal-SGN and MK-SGN as programs: what the speed of a simulator is measured on.

Shapes as the papers have them: 20 joints (NW-UCLA), 64 channels, 8 heads; weights are random, since a layer's
cost is its shape and its activity. Each has one input population and one population that spikes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convert.ir import (
    ConvWeights,
    DenseWeights,
    Input,
    LoihiLIF,
    Population,
    Program,
    Projection,
    SparseWeights,
)

JOINTS, CHANNELS, HEADS = 20, 64, 8
TAPS = 5  # steps of Base-SGN's temporal kernel
FRAMES, WINDOW = (
    8,
    9,
)  # MK-SGN: frames on the spatial axis (of its 52, so that Lava ends), frames of its kernel


def _program(
    shape: tuple[int, ...], out: tuple[int, ...], vth: int, projections: list, du: int = 4095
) -> Program:
    """projections: (weights, delay) from the input to the layer."""
    populations = {
        "in": Population("in", shape, Input(shape, "binary")),
        "lif": Population("lif", out, LoihiLIF(du=du, dv=2048, vth=vth), 1),
    }
    made = [Projection(f"p{k}", "in", "lif", w, 0, delay) for k, (w, delay) in enumerate(projections)]
    return Program(populations, made, ("lif",))


def _int8(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(-127, 128, shape).astype(np.int8)


def dense(size: int) -> Program:
    """N inputs -> N LIF."""
    w = DenseWeights(_int8((size, size)))
    return _program((size,), (size,), int(900 * (size / 256) ** 0.5), [(w, 0)], du=410)


def graph_convolution() -> Program:
    """Base-SGN, spatial: channel weights times adjacencies with their learned part, composed: every joint and
    channel to every other."""
    size = CHANNELS * JOINTS
    return _program(
        (CHANNELS, JOINTS, 1), (CHANNELS, JOINTS, 1), 1700, [(DenseWeights(_int8((size, size))), 0)]
    )


def _mix(out: int, kernel: int = 1, frames: int = 1) -> ConvWeights:
    shape = CHANNELS, frames, JOINTS
    return ConvWeights(
        _int8((out, CHANNELS, kernel, 1)), shape, (out, frames, JOINTS), (1, 1), (kernel // 2, 0), (1, 1), 1
    )


def temporal_convolution() -> Program:
    """Base-SGN, temporal: a channel mix for each of 5 delays."""
    shape = CHANNELS, 1, JOINTS
    return _program(shape, shape, 700, [(_mix(CHANNELS), k) for k in range(TAPS)])


def channel_mix() -> Program:
    """Signal-SGN: ConvBN before Q, K and V, the channels of each joint."""
    return _program((CHANNELS, 1, JOINTS), (2 * CHANNELS, 1, JOINTS), 350, [(_mix(2 * CHANNELS), 0)])


def coincidence() -> Program:
    """Signal-SGN: Q K^T as coincidences, one neuron for each head, pair of joints and channel of the head."""
    deep, half = CHANNELS // HEADS, CHANNELS * JOINTS
    head, i, j, d = (a.reshape(-1) for a in np.indices((HEADS, JOINTS, JOINTS, deep)))
    pairs = []
    for joint, offset in ((i, 0), (j, half)):
        source = offset + (head * deep + d) * JOINTS + joint
        order = np.argsort(source, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=2 * half))])
        twos = np.full(len(source), 2, np.int8)
        pairs.append((SparseWeights(starts, order, twos, (len(source), 2 * half)), 0))
    program = _program((2 * CHANNELS, 1, JOINTS), (HEADS * JOINTS, JOINTS, deep), 3, pairs)
    model = LoihiLIF(du=4095, dv=4095, vth=3)  # fires if both came, and forgets
    populations = dict(program.populations) | {
        "lif": Population("lif", program.populations["lif"].shape, model, 1)
    }
    return Program(populations, program.projections, program.outputs)


def frame_convolution() -> Program:
    """MK-SGN: 9 frames by 1 joint, frames on an axis of the population."""
    shape = CHANNELS, FRAMES, JOINTS
    return _program(shape, shape, 900, [(_mix(CHANNELS, WINDOW, FRAMES), 0)])


SHAPES: dict[str, Callable[[], Program]] = {
    "256": lambda: dense(256),
    "1024": lambda: dense(1024),
    "2048": lambda: dense(2048),
    "base-sgn graph conv": graph_convolution,
    "base-sgn temporal conv": temporal_convolution,
    "signal-sgn channel mix": channel_mix,
    "signal-sgn coincidence": coincidence,
    "mk-sgn frame conv": frame_convolution,
}
