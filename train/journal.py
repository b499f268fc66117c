"""The record of a run: log.jsonl, one line an epoch, and TensorBoard events of the same numbers."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from train.files import write_whole

LOG = "log.jsonl"


class Journal:
    """Append-only log of a run folder; a resumed run drops what lies after its checkpoint."""

    def __init__(self, run: Path, epochs_done: int) -> None:
        self._log = run / LOG
        lines = self._log.read_text().splitlines() if self._log.is_file() else []
        kept = [line for line in lines if _epoch(line) <= epochs_done]
        write_whole(self._log, "".join(f"{line}\n" for line in kept).encode())
        self._events = SummaryWriter(run / "events", purge_step=epochs_done + 1)

    def write(self, entry: dict[str, Any]) -> None:
        """One epoch: plain numbers, or a mapping of them by layer."""
        with self._log.open("a") as file:
            file.write(json.dumps(entry, allow_nan=False) + "\n")
        for name, value in entry.items():
            if isinstance(value, dict):
                for part, number in value.items():
                    self._events.add_scalar(f"{name}/{part}", number, entry["epoch"])
            elif name != "epoch":
                self._events.add_scalar(name, value, entry["epoch"])

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._events.close()


def _epoch(line: str) -> float:
    """The epoch of a log line; an incomplete last line counts as beyond every epoch."""
    try:
        return json.loads(line)["epoch"]
    except (ValueError, KeyError, TypeError):
        return float("inf")
