"""Writes the text form of small graphs to tests/golden/*.txt: what `convert.ir.text` promises to keep.

Run `python scripts/remake_golden.py` after a change of the text form that is meant, and read the difference.
The numbers are made without a random generator, so that they are the same on every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from convert.ir import (  # noqa: E402 - the repository is on the path only now
    LIF,
    Add,
    Affine,
    AvgPool2d,
    BatchNorm,
    ChannelMix,
    Conv2d,
    Delay,
    Graph,
    GraphConv,
    Input,
    JointMean,
    LeakyIntegrator,
    Reshape,
    StepConv,
    text,
)
from convert.passes.fold_batchnorm import FOLD_BATCHNORM  # noqa: E402
from convert.passes.quantise import Calibration, Quantise  # noqa: E402

FOLDER = ROOT / "tests" / "golden"


def _ramp(*shape: int) -> np.ndarray:
    """Dyadic values from -0.5 up in steps of 1/16, over and over."""
    return (np.arange(np.prod(shape)) % 23 / 16 - 0.5).reshape(shape)


def conv_chain() -> Graph:
    """A convolution with everything that is not square, a pool and a dense readout."""
    nodes = {
        "input": Input((4, 7, 6), "binary"),
        "conv": Conv2d(_ramp(8, 2, 3, 2), _ramp(8), (2, 1), (1, 0), (1, 2), 2),
        "lif": LIF(0.5),
        "pool": AvgPool2d((2, 3), (2, 1)),
        "flat": Reshape((32,)),
        "head": Affine(_ramp(3, 32), _ramp(3)),
        "out": LeakyIntegrator(0.125),
    }
    return FOLD_BATCHNORM(Graph(nodes, _chain(nodes), ("out",), "traced", 1e-3))


def residual_traced() -> Graph:
    """A graph convolution with a branch, a convolution over steps with a residual; batch norms are nodes."""
    norm = BatchNorm(_ramp(6) + 1, _ramp(6), _ramp(6), _ramp(6) + 1)
    nodes = {
        "input": Input((3, 5), "real"),
        "graph": GraphConv(_ramp(2, 6, 3), _ramp(2, 5, 5)),
        "graph_norm": norm,
        "branch": ChannelMix(_ramp(6, 3)),
        "sum": Add(),
        "lif1": LIF(0.5, 0.75),
        "steps": StepConv(_ramp(6, 6, 3)),
        "late": Delay(2),
        "sum2": Add(),
        "lif2": LIF(0.5),
        "mean": JointMean(),
        "head": Affine(_ramp(2, 6)),
        "out": LeakyIntegrator(),
    }
    edges = (
        ("input", "graph"), ("graph", "graph_norm"), ("input", "branch"), ("graph_norm", "sum"),
        ("branch", "sum"), ("sum", "lif1"), ("lif1", "steps"), ("lif1", "late"), ("steps", "sum2"),
        ("late", "sum2"), ("sum2", "lif2"), ("lif2", "mean"), ("mean", "head"), ("head", "out"),
    )  # fmt: skip
    return Graph(nodes, edges, ("out", "lif1"), "traced")


def conv_chain_integer() -> Graph:
    """The convolution chain in 8 bits, with a calibration written by hand."""
    rate = {"input": np.full((4, 7, 6), 0.25), "lif": np.full((8, 4, 4), 0.125)}
    return Quantise(Calibration({"input": 1.0, "lif": 3.0, "out": 24.0}, rate))(conv_chain())


def _chain(nodes: dict[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple(zip(list(nodes), list(nodes)[1:], strict=False))


GRAPHS: dict[str, Callable[[], Graph]] = {
    "conv_chain": conv_chain,
    "conv_chain_integer": conv_chain_integer,
    "residual_traced": residual_traced,
}


def render(name: str) -> str:
    """What the golden file of that name holds."""
    return (
        f"# made by `python scripts/remake_golden.py` from its {name}(); do not edit\n{text(GRAPHS[name]())}"
    )


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in GRAPHS:
        (FOLDER / f"{name}.txt").write_text(render(name))


if __name__ == "__main__":
    main()
