"""The people of a pose training (`train.course.Course`): batches, and how the epoch is chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.pose.codecs.codec import Codec
from train.pose.config import PoseConfig
from train.pose.crops import augmented
from train.pose.data.keypoints import KeypointSet
from train.pose.data.person import HELD_OUT, Person, PoseSet, hold_out
from train.pose.losses import PoseObjective, encoded
from train.pose.ogn import OGN
from train.pose.predict import by_torch, judged, predict
from train.pose.recipe import PoseRecipe
from train.processes import Processes
from train.trainer import check_batches

NEAR = 2.0  # cells within which a heatmap's highest cell is right, for the log of a training batch


@dataclass(frozen=True, slots=True, eq=False)
class PoseCourse:
    """The people of a run: trained on, and held out to choose the epoch by PCK."""

    config: PoseConfig
    recipe: PoseRecipe
    keypoints: KeypointSet
    codec: Codec
    people: Sequence[Person]
    held: PoseSet

    @property
    def size(self) -> int:
        """People that are trained on."""
        return len(self.people)

    def ids(self) -> Iterator[str]:
        """Of all people, the held-out ones last."""
        return (f"{p.group}/{p.id}" for p in (*self.people, *self.held.people))

    def facts(self) -> dict[str, Any]:
        """How the people were parted."""
        counts = {"train": len(self.people), "validation": len(self.held)}
        rule = f"every {HELD_OUT}th image (or sequence) of the training split is held out, the last of few"
        return {"split": rule, "people": counts, "left_out": list(self.held.dropped)}

    def batches(self, epoch: int, group: Processes) -> Iterator[tuple[Tensor, Tensor, int]]:
        """The order is a function of (seed, epoch), a person's draws of (seed, epoch, index)."""
        config = self.config
        order = np.random.default_rng([config.seed, epoch]).permutation(len(self.people))
        for start in range(0, len(order), config.batch):
            at = order[start : start + config.batch]
            mine = [int(i) for i in group.part(at)]
            x, labels = augmented(self.people, mine, self.recipe, self.keypoints, config.seed, epoch)
            yield torch.from_numpy(x), torch.from_numpy(labels), len(at)

    def right(self, scores: Tensor, labels: Tensor) -> float:
        """People, as the sum of their shares of joints whose highest cell is near the joint."""
        width = scores.shape[-1]
        highest = scores.flatten(2).argmax(-1)
        cells = torch.from_numpy(self.codec.grid.to_map(labels[..., :2].numpy()))
        away = torch.stack([highest % width, highest // width], dim=-1) - cells
        counts = labels[..., 2] > 0
        near = (away.norm(dim=-1) <= NEAR) & counts
        return float((near.sum(1) / counts.sum(1).clamp(min=1)).sum())

    def objective(self, model: OGN) -> PoseObjective:
        """The network and its loss."""
        return PoseObjective(model, self.codec, self.config.offset_weight)

    def validate(self, model: OGN, group: Processes) -> dict[str, float]:
        """Loss and PCK of the held-out people; every process does all of it."""
        objective = self.objective(model)
        loss = counted = 0.0

        def add(maps: dict[str, Tensor], joints: Tensor) -> None:
            nonlocal loss, counted
            value, _ = objective.of_maps(maps, encoded(self.codec, joints))
            loss, counted = loss + float(value) * len(joints), counted + len(joints)

        was_training = model.training
        infer = by_torch(model.eval(), self.codec, each=add)
        found = predict(infer, self.held.people, self.recipe)
        model.train(was_training)
        pck = judged(found.xy, self.held)
        return {"loss_val": loss / counted, "accuracy_val": pck.pooled}


def gather(config: PoseConfig, recipe: PoseRecipe, data: PoseSet, group: Processes) -> PoseCourse:
    """The course of a training split."""
    train, held = hold_out(data)
    check_batches(len(train), config, group)
    judged(np.stack([p.xy for p in held.people]), held)  # refuses now what could not be judged after an epoch
    return PoseCourse(config, recipe, data.keypoints, recipe.build_codec(), train.people, held)
