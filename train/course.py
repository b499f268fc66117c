"""What training is told of what it trains: the contracts between `train.epochs`, `train.trainer` and a task.

A task (actions: `train.material`; poses: `train.pose.course`) brings a course, an objective and settings;
epochs, resuming, processes, files and the choice of the epoch are the same for all.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from train.processes import Processes

Model = TypeVar("Model", bound=nn.Module)
Validated = TypeVar("Validated", bound=nn.Module, contravariant=True)
"""What a course validates: the kind of model that the objective holds."""


class Settings(Protocol):
    """What a run is trained with: fields that `train.config.TrainConfig` has too, and says what they are."""

    optimizer: str
    epochs: int
    batch: int
    lr: float
    schedule: str
    warm_up: float
    momentum: float
    weight_decay: float
    clip_norm: float
    average: float
    seed: int
    threads: int
    amp: str


class Learning(Protocol[Model]):
    """An nn.Module that holds the model and terms of the loss.

    Called with x and labels, whose rows are samples, it gives the loss, scores and the loss's parts by name.
    """

    model: Model
    terms: nn.ModuleList

    def __call__(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]: ...


class Course(Protocol[Validated]):
    """The samples of a run: what is trained on, and what the epoch is chosen by."""

    @property
    def size(self) -> int:
        """Samples that are trained on."""

    def ids(self) -> Iterable[str]:
        """Names of all samples, the held-out ones last: processes must agree on them."""

    def facts(self) -> dict[str, Any]:
        """What run.json says of the samples."""

    def batches(self, epoch: int, group: Processes) -> Iterator[tuple[Tensor, Tensor, int]]:
        """This process's x and labels of each batch, and the samples of the whole batch."""

    def right(self, scores: Tensor, labels: Tensor) -> float:
        """How many samples of a training batch were right, for the log; parts of a sample count."""

    def validate(self, model: Validated, group: Processes) -> dict[str, float]:
        """loss_val and accuracy_val of what was held out; the same in every process."""
