"""Any torch module, as it is -> `Counts`: one sample at a time, so that every number is a sample's own.

    counter = TorchCounter(model, time_major=False)
    scores, counts = counter.count(x)             x: one sample, without a batch axis

The model runs in eval mode, without gradients, as [1, *x.shape], or as [T, 1, *shape] where it is time-major:
its first axis is steps, and lines say what each step did. Several calls of a layer (a loop over steps) add
up. What the model keeps between calls is put back to what it was: every sample starts from the same state.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from convert.held import changed, held, restore
from convert.ir import BadInput, BasaltError
from energy.line import Counts
from energy.operand import BINARY, REAL
from energy.torch_counts import (
    attention,
    elementwise,
    fourier,
    house,
    moves,
    neurons,
    norms,
    pooling,
    products,
    recurrent,
    resampling,
)
from energy.torch_counts.lines import lines, uncounted
from energy.torch_counts.note import Axis, Cell, Note
from energy.torch_counts.record import settled
from energy.torch_counts.rules import RuleFailed, Rules
from energy.torch_counts.settings import Settings
from energy.torch_counts.trace import Trace

RULES = Rules(
    file.RULES
    for file in (
        attention, elementwise, fourier, house, moves, neurons, norms, pooling, products, recurrent,
        resampling,
    )
)  # fmt: skip
TOKENS = (torch.int32, torch.int64)  # given to the model as they are: they choose rows of a table
OPERANDS = {"real": Cell(REAL), "binary": Cell(BINARY, spikes=True, discrete=True)}


class ModelRaised(Exception):
    """The module's own code raised: `__cause__`."""


class TorchCounter:
    """Counts samples of one module. operand: 'real' or 'binary', what the input holds."""

    def __init__(
        self,
        model: nn.Module,
        settings: Settings | None = None,
        time_major: bool = False,
        operand: str = "real",
    ) -> None:
        if operand not in OPERANDS:
            raise BadInput(f"operand {operand!r}; expected one of {', '.join(OPERANDS)}")
        self._model, self._settings = model, settings or Settings()
        self._time_major, self._operand = time_major, operand

    def count(self, x: Tensor) -> tuple[Any, Counts]:
        """What the model gives for one sample, and its counts. x: [*shape], or [T, *shape] where
        time-major. ModelRaised for a sample that the model's code refuses."""
        if self._operand == "binary" and not x.is_meta and not bool(((x == 0) | (x == 1)).all()):
            raise BadInput("operand binary: the sample holds values beside 0 and 1; leave it real")
        batch = x.unsqueeze(1 if self._time_major else 0)
        steps = len(x) if self._time_major else None
        with at_rest(self._model):
            trace = Trace(self._model, RULES, self._settings, steps)
            cell = OPERANDS[self._operand]
            time = None if steps is None else Axis(0, steps)
            trace.source(batch, Note(replace(cell, entering=True), time=time))
            with trace.watching():
                out = self._run(batch)
            if trace.failure is not None:
                raise trace.failure  # the model has caught what was not for it
            for given in tree_flatten(out)[0]:
                if isinstance(given, Tensor):  # of one that no operation gave, that it is not counted
                    trace.read(trace.known(given), None)
        records = settled(trace.records, self._settings.fold_norm)
        found = Counts(
            lines(records, steps or 1), 1, steps or 1, self._settings, uncounted(records, trace.values)
        )  # fmt: skip
        return out, found

    def _run(self, batch: Tensor) -> Any:
        try:
            return self._model(batch)
        except (RuleFailed, BasaltError):
            raise
        except Exception as error:  # whatever code of the user's raises
            raise ModelRaised from error


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """The model in eval mode; afterwards its mode, attributes and buffers are what they were."""
    training = {m: m.training for m in model.modules()}
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    model.eval()
    before = [(m, held(m)) for m in model.modules()]
    try:
        yield
    finally:
        for module, kept in before:
            restore(module, kept, changed(module, kept))
        with torch.no_grad():
            for name, b in model.named_buffers():
                if name in buffers and not b.is_meta and not torch.equal(b, buffers[name]):
                    b.copy_(buffers[name])
        for module, was in training.items():
            module.training = was
