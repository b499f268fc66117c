"""What a run is made of: its clips, parted, and the recipe that makes samples of them."""

from dataclasses import dataclass
from typing import Any

from train.config import TrainConfig
from train.data.clip import ClipSet
from train.data.samples import Samples
from train.data.split import Split, hold_out, record
from train.data.transform import Recipe, prepare, standardised
from train.processes import Processes
from train.skeletons import Layout, layout
from train.trainer import check_batches


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """The clips of a run, parted, the recipe that makes samples of them, the held-out ones made, and which
    these are, as JSON."""

    split: Split
    recipe: Recipe
    layout: Layout
    held: Samples
    record: dict[str, Any]


def gather(config: TrainConfig, recipe: Recipe, data: ClipSet, group: Processes) -> Material:
    """What the config trains on and chooses the epoch by; the recipe with mean and spread of the clips."""
    asked = (config.validation, config.validation_subjects, config.validation_fraction)
    split = hold_out(data.clips, *asked, data.unseen)
    check_batches(len(split.train), config, group)
    here = layout(data.layout)
    recipe = standardised(split.train, recipe, here, config.seed)
    return Material(split, recipe, here, prepare(split.validation, recipe, here), record(split, *asked))
