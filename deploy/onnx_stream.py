"""Streams on ONNX Runtime: the step model, its state bound to memory that stays where it is.

There are two sets of state arrays, A and B. Even frames read A and write B, odd frames read B and write A,
each through a binding of its own, made once: between frames no state is copied and no tensor of the interface
is allocated. What is copied is the frame in and the outputs out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import final

import numpy as np

from convert.ir import Graph
from convert.to_onnx import step_model
from deploy.onnx_session import NUMPY, Session, check_form, read_model
from deploy.stream import State, Stream
from deploy.stream_state import fingerprint


@final
class Stepper(Stream):
    """A step model, frame by frame.

    >>> stepper = Stepper.of(graph, samples=1)
    >>> outputs = stepper(frame)          # frame [N, *shape] -> {output: [N, *shape]}, spikes as uint8
    """

    target = "onnx"

    def __init__(self, session: Session, samples: int, identity: str) -> None:
        check_form(session, "step")
        super().__init__(session.source, samples, identity)
        states = session.metadata["states"]
        self._sets = [{s["input"]: self._zeros(s["shape"], s["dtype"]) for s in states} for _ in range(2)]
        self._x = self._zeros(["N", *session.source.shape], session.x_dtype)
        after = {s["output"]: s["input"] for s in states}
        described = session.session.get_outputs()
        self._out = {o.name: self._zeros(o.shape, NUMPY[o.type]) for o in described if o.name not in after}
        self._run = [
            session.bound(
                {"x": self._x, **old}, {**{name: new[state] for name, state in after.items()}, **self._out}
            )
            for old, new in (self._sets, self._sets[::-1])
        ]

    @classmethod
    def of(cls, graph: Graph, samples: int = 1, probes: Collection[str] = (), threads: int = 1) -> Stepper:
        """A stepper for a graph. Single frames are small: one thread is the fastest."""
        model = step_model(graph, probes).SerializeToString()
        return cls(Session(model, "graph", threads), samples, fingerprint(graph))

    @classmethod
    def from_file(cls, path: Path, samples: int = 1, threads: int = 1, graph: Graph | None = None) -> Stepper:
        """A stepper for a written step model. graph: what it was written from, if at hand: states then fit
        those of a stepper made of the graph; without it they fit this file's alone."""
        model = read_model(path)
        identity = hashlib.sha256(model).hexdigest() if graph is None else fingerprint(graph)
        return cls(Session(model, str(path), threads), samples, identity)

    def _zeros(self, shape: Collection[int | str], dtype: object) -> np.ndarray:
        return np.zeros([self.samples if isinstance(n, str) else n for n in shape], dtype)  # type: ignore[call-overload]

    def _advance(self, encoded: np.ndarray) -> dict[str, np.ndarray]:
        self._x[...] = encoded
        self._run[self.frames % 2]()
        return {name: value.copy() for name, value in self._out.items()}

    def _held(self) -> State:
        return self._sets[self.frames % 2]
