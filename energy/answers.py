"""Who the samples of a batch are, and what was seen of them: ids, true classes, answers, seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.ir import BadInput


@dataclass(frozen=True, eq=False)
class Answers:
    """N ids, with N true classes, predicted classes and latencies; None where nobody knows them.

    latency_s: measured seconds of each sample, or its share of its batch: the report's header says which.
    """

    ids: Sequence[str | int]
    labels: Sequence[int] | None = None
    predictions: Sequence[int] | None = None
    latency_s: Sequence[float] | None = None

    def check(self, samples: int) -> None:
        """BadInput unless there is one of each for each sample."""
        for what in ("ids", "labels", "predictions", "latency_s"):
            given = getattr(self, what)
            if given is not None and len(given) != samples:
                raise BadInput(f"report: {len(given)} {what} for {samples} samples; give one each")

    def who(self, n: int) -> dict[str, Any]:
        """Sample n as JSON."""
        label = None if self.labels is None else int(self.labels[n])
        answer = None if self.predictions is None else int(self.predictions[n])
        correct = None if label is None or answer is None else label == answer
        return {"sample_id": _plain(self.ids[n]), "label": label, "prediction": answer, "correct": correct}

    def latency(self, n: int) -> float | None:
        """Seconds of sample n."""
        return None if self.latency_s is None else float(self.latency_s[n])


def _plain(value: object) -> str | int:
    return int(value) if isinstance(value, int | np.integer) else str(value)
