"""Files that are there whole or not at all, and JSON that is the same every time."""

import json
from pathlib import Path
from typing import Any

from convert.ir.files import whole


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path` in one step: a reader, or a crash, sees the old file or the new one."""
    with whole(path) as draft:
        draft.write_bytes(content)


def json_bytes(value: Any) -> bytes:
    """Stable, readable JSON: two spaces, keys in order, no NaN."""
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
