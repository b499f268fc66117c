"""KEY=VALUE of a command line, as values of the fields they are for."""

from __future__ import annotations

from typing import Any

import click


def pair(item: str) -> tuple[str, Any]:
    """KEY=VALUE as key and value."""
    key, sign, value = item.partition("=")
    if not sign or not key:
        raise click.UsageError(f"{item!r} is not KEY=VALUE")
    return key.strip(), parsed(value.strip())


def parsed(text: str) -> Any:
    """Numbers, true/false, and lists of them; anything else is text."""
    if "," in text:
        return [parsed(part) for part in text.split(",") if part]
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def fitted(key: str, value: Any, default: Any) -> Any:
    """The value as the field's default is: a list where it is one, a whole number where it is one."""
    if isinstance(default, tuple):
        return value if isinstance(value, list) else [value]
    wanted = {bool: (bool,), int: (int,), float: (int, float), str: (str,)}.get(type(default))
    if wanted is not None and (
        not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted)
    ):
        raise click.UsageError(f"--set {key}={value}: expected {type(default).__name__}, like {default}")
    return float(value) if isinstance(default, float) else value
