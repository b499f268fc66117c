"""What training minimises: cross-entropy of the scores, and terms that leave no trace in the model.

    L = CE(scores, labels) + sum of the terms' losses

A term reads what chosen modules of the model gave, through hooks that live for one forward: the model knows
nothing of it, so the graph it is exported as is the same with and without. A term may own parameters, which
are trained and resumed with the run and belong to no deployed model.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.evaluate import mean_over_persons, present_persons
from train.labelled import labelled
from train.precision import full


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One training forward: x [T, B*M, ...] with all channels of the batch, present [B, M], labels [B],
    scores [B, K], taps by name."""

    x: Tensor
    present: Tensor
    labels: Tensor
    scores: Tensor
    taps: Mapping[str, Tensor] = field(default_factory=dict)


class Term(nn.Module, ABC):
    """An extra loss of training. `watched` names the modules of the model whose outputs `forward` reads."""

    watched: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, seen: Seen) -> dict[str, Tensor]:
        """Weighted losses (0-d) by name, for the sum and for the log."""


class Objective(nn.Module):
    """The model, the terms, and the loss of a batch: one module, so that one wrapper parallelises it.

    places: the channels of x that the model is shown (`own`).
    """

    def __init__(
        self,
        model: nn.Module,
        terms: Sequence[Term] = (),
        label_smoothing: float = 0.0,
        places: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.places = places
        self.terms = nn.ModuleList(terms)
        self.label_smoothing = label_smoothing
        self.watched = sorted({name for term in terms for name in term.watched})

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """x [T, B*M, ...], labels [B] -> loss, scores [B, K], the terms' parts of the loss by name."""
        present = present_persons(x, len(labels))
        with tapped(self.model, self.watched) as taps, labelled(self.model, labels, present):
            scores = mean_over_persons(full(self.model(own(x, self.places))), present)
        loss = F.cross_entropy(scores, labels, label_smoothing=self.label_smoothing)
        parts: dict[str, Tensor] = {}
        for term in self.terms:
            parts |= term(Seen(x, present, labels, scores, taps))
        return loss + sum(parts.values()), scores, {k: v.detach() for k, v in parts.items()}


def own(x: Tensor, places: Sequence[int]) -> Tensor:
    """What a model is shown of x [T, N, C, ...]: these channels, where a teacher is shown more; else all."""
    return x[:, :, list(places)] if places else x


@contextmanager
def tapped(model: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """The outputs of these modules of `model`, by name, filled by a forward inside the block.

    Of a module that gives several tensors of one shape, one a modality, their mean.
    """
    taps: dict[str, Tensor] = {}
    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda _m, _a, out, name=name: taps.__setitem__(name, _one(out))
        )
        for name in names
    ]
    try:
        yield taps
    finally:
        for hook in hooks:
            hook.remove()


def _one(out: Tensor | tuple[Tensor, ...]) -> Tensor:
    return torch.stack(out).mean(0) if isinstance(out, tuple) else out


@torch.no_grad()
def probe(model: nn.Module, names: Sequence[str], x: Tensor) -> dict[str, Tensor]:
    """What these modules give for x in evaluation, by name; the model is left as it was."""
    was_training = model.training
    model.eval()
    with tapped(model, names) as taps:
        model(x)
    model.train(was_training)
    return taps
