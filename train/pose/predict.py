"""Joints of people by a trained network, in pixel indices of their images, and how right they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.data.errors import DataError
from train.pose.codecs.codec import Codec
from train.pose.codecs.flip import flip_test
from train.pose.crops import back, plain
from train.pose.data.keypoints import KeypointSet
from train.pose.data.person import Person, PoseSet
from train.pose.ogn import OGN
from train.pose.pck import Pck, pck
from train.pose.recipe import PoseRecipe

BATCH = 32
Joints = tuple[NDArray[np.float64], NDArray[np.float64]]
Infer = Callable[[NDArray[np.float32], NDArray[np.float32]], Joints]
"""x [n, 3, H, W] and annotated joints [n, K, 3] -> xy [n, K, 2] of the input and score [n, K]."""
Each = Callable[[dict[str, Tensor], Tensor], None]


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """xy: float64 [N, K, 2] pixel indices of the images; score: float64 [N, K] in [0, 1]."""

    xy: NDArray[np.float64]
    score: NDArray[np.float64]


def predict(
    infer: Infer, people: Sequence[Person], recipe: PoseRecipe, advance: Callable[[int], None] | None = None
) -> Poses:
    """The joints of people in their boxes. advance: is told of the people done, batch by batch."""
    xy, score = [], []
    for start in range(0, len(people), BATCH):
        x, joints, matrices = plain(people[start : start + BATCH], recipe)
        found, sure = infer(x, joints)
        xy.append(back(found, matrices, recipe))
        score.append(sure)
        if advance:
            advance(len(x))
    return Poses(np.concatenate(xy), np.concatenate(score))


def by_torch(model: OGN, codec: Codec, flip: KeypointSet | None = None, each: Each | None = None) -> Infer:
    """A model in eval mode as it was trained.

    flip: average with the mirror image, whose joints this set exchanges. each: gets every batch's maps and
    joints [n, K, 3] of the input.
    """
    device = next(model.parameters()).device

    @torch.no_grad()
    def infer(x: NDArray[np.float32], joints: NDArray[np.float32]) -> Joints:
        images = torch.from_numpy(x).to(device)
        maps = model.maps(images)
        if flip is not None:
            maps = flip_test(codec, maps, model.maps(images.flip(-1)), flip.flipped)
        if each:
            each(maps, torch.from_numpy(joints).to(device))
        found = codec.decode_torch(maps)
        return found.xy.double().cpu().numpy(), found.score.double().cpu().numpy()

    return infer


def judged(xy: NDArray[np.float64], data: PoseSet, threshold: float | None = None) -> Pck:
    """PCK of joints [N, K, 2] of a set's people, by the set's own measure; of the joints that it counts."""
    keypoints, people = data.keypoints, data.people
    truth, seen = np.stack([p.xy for p in people]), np.stack([p.visibility > 0 for p in people])
    size = np.array([p.length(keypoints) for p in people])
    found = pck(xy, truth, seen, size, keypoints.threshold if threshold is None else threshold)
    found = found.among(keypoints.counted)
    if not found.counted.any():
        raise DataError.of(
            f"{data.name} ({data.split})", found=f"no person whose {keypoints.measure} size is known",
            expected="one at least, to measure PCK by", do="use people with that annotation",
        )  # fmt: skip
    return found
