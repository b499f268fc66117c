"""The models by name: a config dataclass and the module built from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from torch import nn

from train.models.attention_sgn import AttentionSGN, AttentionSGNConfig
from train.models.base_sgn import BaseSGN, BaseSGNConfig
from train.models.signal_sgn import SignalSGN, SignalSGNConfig


@dataclass(frozen=True, slots=True)
class Entry:
    """config: a frozen dataclass; module: takes one config."""

    config: type
    module: type[nn.Module]


MODELS: dict[str, Entry] = {
    "base-sgn": Entry(BaseSGNConfig, BaseSGN),
    "base-sgn-attention": Entry(AttentionSGNConfig, AttentionSGN),
    "signal-sgn": Entry(SignalSGNConfig, SignalSGN),
}


def entry(name: str) -> Entry:
    """The model called `name`; a ValueError that lists the known ones otherwise."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; known: {', '.join(sorted(MODELS))}")
    return MODELS[name]


def config(name: str, values: Mapping[str, Any]) -> Any:
    """The model's config from plain values (JSON lists become tuples); unknown keys are refused."""
    kind, known = entry(name).config, fields_of(name)
    if odd := sorted(set(values) - known):
        raise ValueError(f"model {name}: unknown setting {', '.join(odd)}; known: {sorted(known)}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def fields_of(name: str) -> set[str]:
    """The names of the settings that the model's config has."""
    return {f.name for f in fields(entry(name).config)}


def build(name: str, values: Mapping[str, Any]) -> nn.Module:
    """A new model; its parameters are drawn from torch's global generator."""
    return entry(name).module(config(name, values))


def to_dict(settings: Any) -> dict[str, Any]:
    """A config as JSON can hold it."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
