"""The settings of a pose training: one frozen record, kept with every run and checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from train.limits import check, check_names

MODELS = ("ogn", "keypoint-rcnn")


@dataclass(frozen=True, slots=True)
class PoseConfig:
    """What `train.pose.training.fit` does, apart from the data and its recipe (train.course.Settings).

    model: ogn or keypoint-rcnn; model_settings: fields of its config (train.models.registry); weights: a
    safetensors file of the backbone to begin from, "" for none (train.pose.weights). offset_weight: what the
    offsets' loss weighs beside the heatmap's. batch counts people, for keypoint-rcnn images.
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
        check(
            self,
            (
                ("model", self.model in MODELS, f"one of {', '.join(MODELS)}"),
                ("offset_weight", self.offset_weight >= 0, "0 or more"),
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PoseConfig:
        """The config of such values; missing fields take their default, unknown ones are refused."""
        check_names(cls, values)
        return cls(**values)
