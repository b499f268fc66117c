"""The models by name: a config dataclass and the module built from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from torch import nn

from train.models.attention_sgn import AttentionSGN, AttentionSGNConfig
from train.models.base_sgn import BaseSGN, BaseSGNConfig
from train.models.ctr_gcn import CTRGCN, CTRGCNConfig
from train.models.gcn_teacher import GCNTeacher, GCNTeacherConfig
from train.models.mk_sgn import MKSGN, MKSGNConfig
from train.models.signal_sgn import SignalSGN, SignalSGNConfig
from train.models.st_gcn import STGCN, STGCNConfig
from train.pose.ogn import OGN, OGNConfig
from train.pose.rcnn.model import KeypointRCNN, KeypointRCNNConfig


@dataclass(frozen=True, slots=True)
class Entry:
    """config: a frozen dataclass; module: takes one config; recipe: fields that its data recipe starts from.

    A `repeat` from 1 there says that a step of the model is a whole clip, x [T, N, C, F, V]; else it is one
    frame, x [T, N, C, V]. task: "action" (skeletons to classes), "pose" (a person's crop
    to joints, train.pose) or "people" (a whole image to boxes and joints, train.pose.rcnn).
    """

    config: type
    module: type[nn.Module]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    task: str = "action"


MODELS: dict[str, Entry] = {
    "base-sgn": Entry(BaseSGNConfig, BaseSGN),
    "base-sgn-attention": Entry(AttentionSGNConfig, AttentionSGN),
    "ctr-gcn": Entry(CTRGCNConfig, CTRGCN, {"repeat": 1, "frames": 52, "stream": "joint"}),
    "gcn-teacher": Entry(
        GCNTeacherConfig,
        GCNTeacher,
        {"repeat": 1, "frames": 64, "stream": "joint+bone+joint-motion+bone-motion"},
    ),
    "keypoint-rcnn": Entry(KeypointRCNNConfig, KeypointRCNN, task="people"),
    "mk-sgn": Entry(
        MKSGNConfig,
        MKSGN,
        {"repeat": 4, "frames": 64, "stream": "joint+bone+joint-motion+bone-motion"},
    ),
    "ogn": Entry(OGNConfig, OGN, task="pose"),
    "signal-sgn": Entry(SignalSGNConfig, SignalSGN),
    "st-gcn": Entry(STGCNConfig, STGCN, {"repeat": 1, "frames": 64, "stream": "joint"}),
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


def check_repeat(name: str, repeat: int) -> None:
    """A ValueError where a recipe's `repeat` gives the model another shape than it takes."""
    own = entry(name).recipe.get("repeat", 0)
    if bool(own) != bool(repeat):
        takes = "the whole clip at every step" if own else "one frame a step"
        raise ValueError(
            f"model {name}: takes {takes}, found a recipe with repeat {repeat}; set repeat={own}"
        )


def fields_of(name: str) -> set[str]:
    """The names of the settings that the model's config has."""
    return {f.name for f in fields(entry(name).config)}


def build(name: str, values: Mapping[str, Any]) -> nn.Module:
    """A new model; its parameters are drawn from torch's global generator."""
    return entry(name).module(config(name, values))


def to_dict(settings: Any) -> dict[str, Any]:
    """A config as JSON can hold it."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
