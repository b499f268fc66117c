"""What verbs print and write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from convert.ir.files import whole


def write_json(path: Path | None, value: Any) -> None:
    """Write a result as JSON, whole or not at all; nothing if no path was given."""
    if path is None:
        return
    with whole(path) as draft:
        draft.write_text(json.dumps(value, indent=1, default=_plain) + "\n")


def json_line(value: Any) -> None:
    """One value as one line of JSON on stdout, there at once."""
    click.echo(json.dumps(value, default=_plain))  # echo flushes


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def table(head: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[int] = ()) -> str:
    """Aligned columns; `right` are the indices of right-aligned ones."""
    cells = [[str(c) for c in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = []
    for row in cells:
        parts = [
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def bar(total: int, what: str) -> tqdm:
    """A progress bar on stderr."""
    return tqdm(total=total, desc=what, unit="sample", leave=False)


def say(text: str) -> None:
    """A line on stdout."""
    click.echo(text)
