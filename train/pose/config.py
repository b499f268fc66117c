"""The settings of a pose training: one frozen record, kept with every run and checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from train.config import AMP, OPTIMIZERS
from train.schedule import schedule

MODELS = ("ogn", "keypoint-rcnn")


@dataclass(frozen=True, slots=True)
class PoseConfig:
    """What `train.pose.training.fit` does, apart from the data and its recipe (train.course.Settings).

    model: ogn or keypoint-rcnn; model_settings: fields of its config (`train.models.registry`); weights: a safetensors file to begin from, "" for
    none (train.pose.weights). offset_weight: what the offsets' loss weighs beside the heatmap's. batch counts
    people, for keypoint-rcnn images.
    warm_up, momentum, average, clip_norm, amp are as in `train.config.TrainConfig`.
    """

    model: str = "ogn"
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    offset_weight: float = 0.25
    optimizer: str = "adamw"
    epochs: int = 120
    batch: int = 16
    lr: float = 4e-3
    schedule: str = "one-cycle"
    warm_up: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.01
    clip_norm: float = 0.0
    average: float = 0.995
    seed: int = 0
    threads: int = 2
    amp: str = "none"

    def __post_init__(self) -> None:
        schedule(self.schedule)
        problems = [
            f"{name} = {getattr(self, name)} (expected {expected})"
            for name, legal, expected in (
                ("model", self.model in MODELS, f"one of {', '.join(MODELS)}"),
                ("offset_weight", self.offset_weight >= 0, "0 or more"),
                ("optimizer", self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
                ("epochs", self.epochs >= 1, "at least 1"),
                ("batch", self.batch >= 1, "at least 1"),
                ("lr", self.lr > 0, "above 0"),
                ("warm_up", 0 <= self.warm_up < 1, "0 <= warm_up < 1"),
                ("momentum", 0 < self.momentum < 1, "between 0 and 1"),
                ("weight_decay", self.weight_decay >= 0, "0 or more"),
                ("clip_norm", self.clip_norm >= 0, "0 or more"),
                ("average", 0 <= self.average < 1, "0 <= average < 1"),
                ("seed", 0 <= self.seed < 2**32, "0 <= seed < 2^32"),
                ("threads", self.threads >= 1, "at least 1"),
                ("amp", self.amp in AMP, f"one of {', '.join(AMP)}"),
            )
            if not legal
        ]
        if problems:
            raise ValueError(f"training config: {'; '.join(problems)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PoseConfig:
        """The config of such values; missing fields take their default, unknown ones are refused."""
        if odd := sorted(set(values) - {f.name for f in fields(cls)}):
            raise ValueError(f"training config: unknown field {', '.join(odd)}")
        return cls(**values)
