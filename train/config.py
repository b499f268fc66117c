"""The settings of a training run: one frozen record, kept with every run and checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from train.limits import check, check_names


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """What `train.loop.fit` does, apart from the data and its recipe.

    model_settings holds what the model's config has beyond its input and classes, as plain values.
    warm_up is a share of the run; average the decay of the weights' moving average, 0 for none
    (where there is one, it is what is validated and saved as best); clip_norm 0 means no clipping.
    until is the epoch that the run ends with, 0 for the schedule's last.
    init is the run folder or checkpoint whose weights the model begins with, "" for fresh ones; refit the one
    whose settings and number of epochs this run has, trained on what that one held out too, "" for none.
    tfsm is the weight of the training-only term of that name (train.terms.tfsm), 0 for none.
    teacher is the run folder or checkpoint of the model to learn from, "" for none; distil_features,
    distil_labels and temperature are alpha, beta and tau of train.terms.distillation.
    validation is how training clips are held out (train.data.split); validation_subjects None leaves the
    choice to `validation_fraction`. momentum is beta_1 of adamw. batch counts the clips of one
    iteration over all processes, threads those of one machine.
    """

    model: str = "base-sgn"
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 100
    until: int = 0
    batch: int = 16
    optimizer: str = "sgd"
    lr: float = 0.1
    schedule: str = "one-cycle"
    warm_up: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    clip_norm: float = 0.0
    average: float = 0.995
    init: str = ""
    refit: str = ""
    tfsm: float = 0.0
    teacher: str = ""
    distil_features: float = 1.0
    distil_labels: float = 1.0
    temperature: float = 4.0
    seed: int = 0
    threads: int = 2
    amp: str = "none"
    validation: str = "auto"
    validation_subjects: tuple[int, ...] | None = None
    validation_fraction: float = 0.1

    def __post_init__(self) -> None:
        check(
            self,
            (
                ("label_smoothing", 0 <= self.label_smoothing < 1, "0 <= label_smoothing < 1"),
                ("until", 0 <= self.until <= self.epochs, f"0 <= until <= {self.epochs}, the epochs"),
                ("tfsm", self.tfsm >= 0, "0 or more"),
                ("distil_features", self.distil_features >= 0, "0 or more"),
                ("distil_labels", self.distil_labels >= 0, "0 or more"),
                (
                    "teacher",
                    not self.teacher or self.distil_features > 0 or self.distil_labels > 0,
                    "none where distil_features and distil_labels are 0",
                ),
                ("temperature", self.temperature > 0, "above 0"),
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name, for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """The config of such values; missing fields take their default, unknown ones are refused."""
        check_names(cls, values)
        subjects = values.get("validation_subjects")
        chosen = None if subjects is None else tuple(subjects)
        return cls(**{**values, "validation_subjects": chosen})
