"""Who the samples of a batch are: ids, and where they are known true classes and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.ir import BadInput


@dataclass(frozen=True, eq=False)
class Answers:
    """N ids, with N true classes and N predicted ones; None where nobody knows them."""

    ids: Sequence[str | int]
    labels: Sequence[int] | None = None
    predictions: Sequence[int] | None = None

    def check(self, samples: int) -> None:
        """BadInput unless there is one of each for each sample."""
        for what, given in (("ids", self.ids), ("labels", self.labels), ("predictions", self.predictions)):
            if given is not None and len(given) != samples:
                raise BadInput(f"report: {len(given)} {what} for {samples} samples; give one each")

    def who(self, n: int) -> dict[str, Any]:
        """Sample n as JSON."""
        label, answer = self.label(n), None if self.predictions is None else int(self.predictions[n])
        correct = None if label is None or answer is None else label == answer
        return {"sample_id": _plain(self.ids[n]), "label": label, "prediction": answer, "correct": correct}

    def label(self, n: int) -> int | None:
        """True class of sample n."""
        return None if self.labels is None else int(self.labels[n])


def _plain(value: object) -> str | int:
    return int(value) if isinstance(value, int | np.integer) else str(value)
