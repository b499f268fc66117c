"""What a task's models are trained with: data sets, and the records of recipe and training.

action   clips of skeletons to classes
pose     a person's crop to joints
people   a whole image to everybody's box and joints
"""

from dataclasses import dataclass
from types import ModuleType

from train.config import TrainConfig
from train.data import registry as actions
from train.data.recipe import Recipe
from train.models.registry import entry
from train.pose.config import PoseConfig
from train.pose.data import registry as poses
from train.pose.rcnn.recipe import SceneRecipe
from train.pose.recipe import PoseRecipe


@dataclass(frozen=True, slots=True)
class Task:
    """sources: the registry of the data sets. recipe, config: frozen dataclasses. from_data: fields of a
    model that follow from data and recipe."""

    sources: ModuleType
    recipe: type
    config: type
    from_data: frozenset[str]


_OF_CODEC = frozenset({"joints", "heads", "kinds"})
TASKS: dict[str, Task] = {
    "action": Task(actions, Recipe, TrainConfig, frozenset({"in_channels", "classes", "layout", "frames"})),
    "pose": Task(poses, PoseRecipe, PoseConfig, _OF_CODEC),
    "people": Task(poses, SceneRecipe, PoseConfig, _OF_CODEC),
}


def task_of(model: str) -> Task:
    """The task of a model; of "" (any model) that of actions. A ValueError for an unknown model."""
    return TASKS[entry(model).task if model else "action"]
