"""What the settings that every run has may be (train.course.Settings)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from train.schedule import schedule

if TYPE_CHECKING:
    from train.course import Settings

AMP = ("none", "bf16", "fp16")
"""Precisions of the products while training: train.precision."""
OPTIMIZERS = ("sgd", "adamw")
"""Optimisers: train.optimizer."""
Limit = tuple[str, bool, str]
"""A field, whether its value is legal, and what is expected."""


def check(config: Settings, own: Iterable[Limit]) -> None:
    """A ValueError that names every field out of bounds: those of all runs, and a task's own."""
    schedule(config.schedule)
    shared = (
        ("epochs", config.epochs >= 1, "at least 1"),
        ("batch", config.batch >= 1, "at least 1"),
        ("optimizer", config.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
        ("lr", config.lr > 0, "above 0"),
        ("warm_up", 0 <= config.warm_up < 1, "0 <= warm_up < 1"),
        ("momentum", 0 < config.momentum < 1, "between 0 and 1"),
        ("weight_decay", config.weight_decay >= 0, "0 or more"),
        ("clip_norm", config.clip_norm >= 0, "0 or more"),
        ("average", 0 <= config.average < 1, "0 <= average < 1"),
        ("seed", 0 <= config.seed < 2**32, "0 <= seed < 2^32"),
        ("threads", config.threads >= 1, "at least 1"),
        ("amp", config.amp in AMP, f"one of {', '.join(AMP)}"),
    )
    problems = [
        f"{name} = {getattr(config, name)} (expected {expected})"
        for name, legal, expected in (*shared, *own)
        if not legal
    ]
    if problems:
        raise ValueError(f"training config: {'; '.join(problems)}")


def check_names(record: type, values: Mapping[str, Any]) -> None:
    """A ValueError that names the values that are no field of the record."""
    if odd := sorted(set(values) - {field.name for field in fields(record)}):
        raise ValueError(f"training config: unknown field {', '.join(odd)}")
