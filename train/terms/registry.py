"""The terms by the fields of the training config that switch them on: the one list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from train.config import TrainConfig
from train.objective import Term, own
from train.skeletons import Layout
from train.teacher import Teacher
from train.terms import distillation, tfsm
from train.trainer import SettingsError


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What a term is built for: model, one sample of a training batch ([T, M, ...]), classes, joints, a
    teacher, and the channels of the sample that the model is shown (`train.objective.own`)."""

    model: nn.Module
    sample: Tensor
    classes: int
    layout: Layout
    teacher: Teacher | None = None
    places: Sequence[int] = ()

    @property
    def stages(self) -> tuple[str, ...]:
        """The model's depths, in order; SettingsError of a model that names none."""
        if found := tuple(getattr(self.model, "stages", ())):
            return found
        raise SettingsError(
            f"{type(self.model).__name__}: names no stages, which tfsm and distil_features read; "
            "set both to 0"
        )

    @property
    def shown(self) -> Tensor:
        """The sample as the model takes it."""
        return own(self.sample, self.places)


Builder = Callable[[TrainConfig, Setting], Term | None]

TERMS: dict[str, Builder] = {"tfsm": tfsm.build, "distillation": distillation.build}
"""Name -> builder; a builder gives None where the config does not ask for its term."""


def build(config: TrainConfig, setting: Setting) -> list[Term]:
    """The terms that the config asks for, in the order of the list."""
    found = (builder(config, setting) for builder in TERMS.values())
    return [term for term in found if term is not None]
