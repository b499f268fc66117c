"""What every node of a spiking graph is: a frozen dataclass whose docstring is its equation.

A graph is per step: time is implicit, arrays are `[batch, *shape]` at one step, and `shape` is what
nodes speak of. These kinds of node exist and nothing else asks a node what it is:

* `Source`  brings values in;
* `Linear`  (abstract) is linear in its single input, or the sum of several, and may reach back in steps;
* `Product` multiplies two tensors of the same step: linear in each, not in both;
* `Activation` (abstract) is not linear: a function of each value alone, or of values of one step; it holds
            nothing;
* `Neuron`  holds state and is the only thing that does;
* `Window`  (abstract) is linear over all steps of a run at once: it waits until the run is whole, and what
            it gives has steps of its own (`convert.ir.steps`). No chip that works step by step holds one.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from convert.ir.errors import GraphError

Shape = tuple[int, ...]
NODES: dict[str, type[Node]] = {}


class Node(ABC):
    """One primitive of the graph. Subclasses are frozen dataclasses registered by `@node`."""

    inputs: ClassVar[int | None] = 1  # how many tensors come in; None: two or more

    @abstractmethod
    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        """Shape of the result for inputs of these shapes; raises ShapeError naming `name`."""

    def fields(self) -> dict[str, Any]:
        """Field names and values, in the order of the dataclass."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]


class Source(Node):
    """Brings values into the graph."""

    inputs = 0


class LinearNode(Node):
    """Linear in its input (a bias apart): what lies between two spiking layers."""


class Product(Node):
    """Multiplies two tensors of one step; holds nothing. A linear region ends at it as at a neuron."""

    inputs = 2


class Activation(Node):
    """A function of values of one step that is not linear; holds nothing. A linear region ends at it.

    gives: what no chip of spikes makes of it; instead: what a network for one has in its place.
    """

    gives: ClassVar[str]
    instead: ClassVar[str]


class WindowNode(Node):
    """Linear over the steps of a whole run, value by value: y[t'] = sum_t M[t', t] x[t]."""

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        return in_shapes[0]

    @abstractmethod
    def over(self, name: str, steps: int) -> np.ndarray:
        """M float64 [T', T] for a run of T = `steps`; ShapeError naming `name` if the node has none."""


class Neuron(Node):
    """Holds state from step to step; the only node that does."""

    spiking: ClassVar[bool] = True

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        return in_shapes[0]


def node(cls: type) -> type:
    """Register a node class: freeze it, make its arrays read-only, refuse a second class of one name."""
    if cls.__name__ in NODES:
        raise GraphError(f"node {cls.__name__} is registered twice")
    frozen = dataclasses.dataclass(frozen=True, eq=False)(cls)
    NODES[cls.__name__] = frozen
    return frozen


def array(value: object, dtype: object = None) -> np.ndarray:
    """A read-only contiguous copy, so that a graph cannot change behind its owner's back."""
    out = np.array(value, dtype=dtype, order="C", copy=True)
    out.setflags(write=False)
    return out
