"""Window nodes: fixed linear maps over all steps of a run, and the refusal of whoever works step by step."""

from __future__ import annotations

import numpy as np

from convert.ir.errors import GraphError, ShapeError, Unsupported
from convert.ir.graph import Graph
from convert.ir.node import WindowNode, array, node


@node
class StepMap(WindowNode):
    """y[t', ...] = sum_t M[t', t] x[t, ...].   M [T', T]; the run must have exactly T steps.

    Wavelet filter banks, Fourier and cosine transforms over time (a complex one as two maps, or as its real
    rows above its imaginary ones), interpolation back to T steps. A zero of M is no operation.
    """

    matrix: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", array(self.matrix, np.float64))
        if self.matrix.ndim != 2 or 0 in self.matrix.shape:
            raise GraphError(f"StepMap: matrix has shape {self.matrix.shape}, expected [T', T]")

    def over(self, name: str, steps: int) -> np.ndarray:
        if steps != self.matrix.shape[1]:
            raise ShapeError(
                name, expected=f"{self.matrix.shape[1]} steps", got=f"{steps}",
                hint="its matrix is for one length of window: feed that many or build the model for these",
            )  # fmt: skip
        return self.matrix


@node
class StepMean(WindowNode):
    """y[0, ...] = 1/T sum_t x[t, ...]  over the T steps that run; one step comes out."""

    def over(self, name: str, steps: int) -> np.ndarray:
        return np.full((1, steps), 1.0 / steps)


def refuse_windows(graph: Graph, where: str) -> None:
    """Unsupported for the first window node of a graph that is to run step by step; where: by whom."""
    for name, one in graph.nodes.items():
        if isinstance(one, WindowNode):
            raise Unsupported(
                name,
                f"{type(one).__name__} needs the whole window, {where} works step by step",
                "part the graph first (convert.passes.partition): this node then runs on the CPU",
            )
