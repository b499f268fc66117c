"""What a stage of the pipeline costs: counted by energy/, reported by its report, kept for the rendering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from energy.energy import price, refusal

if TYPE_CHECKING:
    from energy.costs import CostTable
    from energy.line import Counts
    from energy.report import Report

CONVENTION = "exact"  # of what is drawn and summed over stages; the report has the papers' beside it


@dataclass(slots=True, eq=False)
class StageEnergy:
    """One stage. out: the folder of its report; pj: sample -> picojoules; refused: why there are none."""

    name: str
    out: Path
    prices: CostTable
    header: Mapping[str, Any]
    pj: dict[str | int, float] = field(default_factory=dict)
    refused: str = ""
    _report: Report | None = None

    def add(self, counts: Counts, ids: Sequence[str | int], answers: Sequence[int] | None = None) -> None:
        """Counts of a batch of these samples."""
        from energy.report import Report

        if self._report is None:
            self._report = Report(self.out, self.prices, self.header)
        self._report.add(counts, ids, None, answers)
        self.refused = refusal(counts) or ""
        if not self.refused:
            total = price(counts, self.prices, (CONVENTION,))[CONVENTION].total()
            self.pj.update(zip(ids, total.tolist(), strict=True))

    def discard(self) -> None:
        """Nothing is left behind."""
        if self._report is not None:
            self._report.discard()

    def summary(self) -> dict[str, Any]:
        """Close the report; the stage's lines for energy.json."""
        if self._report is None:
            return {"stage": self.name, "counted": False, "why": "nothing ran: no sample came to this stage"}
        made = self._report.close()
        total = None if self.refused else sum(self.pj.values()) / 1e9
        mean = None if total is None else total / made["n_samples"]
        line = {"stage": self.name, "counted": not self.refused, **self.header, "samples": made["n_samples"]}
        joules = {"convention": CONVENTION, "total_mj": total, "mean_mj": mean}
        why = {"why": self.refused} if self.refused else {}
        return {**line, **joules, **why, "report": f"energy/{self.out.name}"}


def uncounted(name: str, by: str, why: str) -> dict[str, Any]:
    """A stage without a count, and the reason."""
    return {"stage": name, "counted": False, "by": by, "why": why}
