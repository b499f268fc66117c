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
Each = Callable[[dict[str, Tensor], Tensor], None]


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """xy: float64 [N, K, 2] pixel indices of the images; score: float64 [N, K] in [0, 1]."""

    xy: NDArray[np.float64]
    score: NDArray[np.float64]


@torch.no_grad()
def predict(
    model: OGN,
    people: Sequence[Person],
    recipe: PoseRecipe,
    codec: Codec,
    *,
    flip: KeypointSet | None = None,
    each: Each | None = None,
    advance: Callable[[int], None] | None = None,
) -> Poses:
    """The joints of people in their boxes; the model's mode is restored.

    flip: average with the mirror image, whose joints this set exchanges. each: gets every batch's maps and
    joints [N, K, 3] of the input. advance: is told of the people done.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    xy, score = [], []
    for start in range(0, len(people), BATCH):
        x, joints, matrices = plain(people[start : start + BATCH], recipe)
        maps = maps_of(model, torch.from_numpy(x).to(device), codec, flip)
        if each:
            each(maps, torch.from_numpy(joints).to(device))
        found = codec.decode_torch(maps)
        xy.append(back(found.xy.double().cpu().numpy(), matrices, recipe))
        score.append(found.score.double().cpu().numpy())
        if advance:
            advance(len(x))
    model.train(was_training)
    return Poses(np.concatenate(xy), np.concatenate(score))


def maps_of(model: OGN, x: Tensor, codec: Codec, flip: KeypointSet | None) -> dict[str, Tensor]:
    """The maps of x [N, 3, H, W], of its mirror image too where `flip` says how joints are exchanged."""
    maps = model.maps(x)
    return maps if flip is None else flip_test(codec, maps, model.maps(x.flip(-1)), flip.flipped)


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
