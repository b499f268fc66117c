"""The scenes of a training (`train.course.Course`): batches, and how the epoch is chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from train.pose.config import PoseConfig
from train.pose.data.keypoints import KeypointSet
from train.pose.data.person import HELD_OUT, PoseSet, hold_out
from train.pose.predict import judged
from train.pose.rcnn.boxes import iou
from train.pose.rcnn.detector import Choice, Found, PeopleDetector, in_image
from train.pose.rcnn.frames import augmented, plain
from train.pose.rcnn.model import KeypointRCNN
from train.pose.rcnn.objective import PeopleObjective
from train.pose.rcnn.recipe import SceneRecipe
from train.pose.rcnn.scenes import Scene, scenes
from train.processes import Processes
from train.trainer import check_batches

REACHED = 0.5  # IoU from which on a person is found


@dataclass(frozen=True, slots=True, eq=False)
class PeopleCourse:
    """The scenes of a run: trained on, and held out to choose the epoch by."""

    config: PoseConfig
    recipe: SceneRecipe
    keypoints: KeypointSet
    scenes: Sequence[Scene]
    held: PoseSet

    @property
    def size(self) -> int:
        """Images that are trained on."""
        return len(self.scenes)

    def ids(self) -> Iterator[str]:
        """Of all people, the held-out ones last."""
        trained = (person for scene in self.scenes for person in scene.people)
        return (f"{p.group}/{p.id}" for p in (*trained, *self.held.people))

    def facts(self) -> dict[str, Any]:
        """How the images were parted."""
        counts = {"train": sum(len(s.people) for s in self.scenes), "validation": len(self.held)}
        pictures = {"train": len(self.scenes), "validation": len(scenes(self.held))}
        rule = f"every {HELD_OUT}th image (or sequence) of the training split is held out, the last of few"
        return {"split": rule, "people": counts, "images": pictures, "left_out": list(self.held.dropped)}

    def batches(self, epoch: int, group: Processes) -> Iterator[tuple[Tensor, Tensor, int]]:
        """The order is a function of (seed, epoch), an image's draws of (seed, epoch, index)."""
        config = self.config
        order = np.random.default_rng([config.seed, epoch]).permutation(len(self.scenes))
        for start in range(0, len(order), config.batch):
            at = order[start : start + config.batch]
            mine = [int(i) for i in group.part(at)]
            x, labels = augmented(self.scenes, mine, self.recipe, self.keypoints, config.seed, epoch)
            yield torch.from_numpy(x), torch.from_numpy(labels), len(at)

    def right(self, scores: Tensor, labels: Tensor) -> float:
        """Images, as the sum of their shares of people whom a proposal reaches."""
        there = scores >= 0
        return float(((scores >= REACHED).sum(1) / there.sum(1).clamp(min=1)).sum())

    def objective(self, model: KeypointRCNN) -> PeopleObjective:
        """The network and its loss."""
        return PeopleObjective(model, self.recipe, self.config.offset_weight)

    def validate(self, model: KeypointRCNN, group: Processes) -> dict[str, float]:
        """Loss of the held-out images, and PCK of their people as they are found; every process does all."""
        was_training = model.training
        objective, detector = self.objective(model.eval()), PeopleDetector(model, self.recipe)
        device = next(model.parameters()).device
        held, loss = scenes(self.held), 0.0
        xy: dict[tuple[Any, Any], NDArray[np.float64]] = {}
        for start in range(0, len(held), self.config.batch):
            part = held[start : start + self.config.batch]
            x, labels, views = plain(part, self.recipe)
            with torch.no_grad():
                maps = model(torch.from_numpy(x).to(device))
            loss += self._loss(objective, maps, torch.from_numpy(labels).to(device), start) * len(part)
            for scene, frame, view in zip(part, detector.by_maps(maps, Choice()), views, strict=True):
                xy |= assigned(scene, in_image(frame, view))
        model.train(was_training)
        poses = np.stack([xy[p.image_id, p.id] for p in self.held.people])
        return {"loss_val": loss / len(held), "accuracy_val": judged(poses, self.held).pooled}

    @torch.no_grad()
    def _loss(self, objective: PeopleObjective, maps: list[Tensor], labels: Tensor, start: int) -> float:
        """Of a batch. Which anchors and RoIs it looks at is a function of (seed, start): in every epoch the
        same, and in every process, whose generators differ."""
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed * 1_000_003 + start)
            loss, _, _ = objective.by_maps(maps, labels)
        return float(loss)


def assigned(scene: Scene, found: Found) -> dict[tuple[Any, Any], NDArray[np.float64]]:
    """Joints [K, 2] by ids of image and person: those of the box that is his, one to one, the most overlap in
    all; nan where no box reaches him, so that all of his joints are wrong."""
    people, image = scene.people, scene.image_id
    xy = {(image, person.id): np.full_like(person.xy, np.nan) for person in people}
    if not len(found.boxes):
        return xy
    overlap = iou(*(_corners(b) for b in (np.stack([p.box for p in people]), found.boxes))).numpy()
    for who, which in zip(*linear_sum_assignment(-overlap), strict=True):
        if overlap[who, which] >= REACHED:
            xy[image, people[who].id] = found.xy[which]
    return xy


def _corners(boxes: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))


def gather(config: PoseConfig, recipe: SceneRecipe, data: PoseSet, group: Processes) -> PeopleCourse:
    """The course of a training split."""
    train, held = hold_out(data)
    found = scenes(train)
    check_batches(len(found), config, group)
    judged(np.stack([p.xy for p in held.people]), held)  # refuses now what could not be judged after an epoch
    return PeopleCourse(config, recipe, data.keypoints, found, held)
