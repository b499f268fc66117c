"""What a linter says of a `.net`: one dataclass and the list it is written into."""

from __future__ import annotations

from dataclasses import dataclass, field

from convert.net_format import one_line

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """severity: 'error' netx fails or computes something else than slayer trained; 'warning' netx ignores it,
    or errs under a condition; 'note' worth knowing.  place: the layer, and the dataset where it is one."""

    severity: str
    place: str
    found: str
    netx: str
    fix: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.place}: {self.found}; netx {self.netx}; fix: {self.fix}"


@dataclass
class Report:
    """Findings in the order they were made."""

    findings: list[Finding] = field(default_factory=list)

    def _add(self, severity: str, *said: str) -> None:
        self.findings.append(Finding(severity, *(one_line(text) for text in said)))

    def error(self, place: str, found: str, netx: str, fix: str) -> None:
        self._add("error", place, found, netx, fix)

    def warning(self, place: str, found: str, netx: str, fix: str) -> None:
        self._add("warning", place, found, netx, fix)

    def note(self, place: str, found: str, netx: str, fix: str) -> None:
        self._add("note", place, found, netx, fix)
