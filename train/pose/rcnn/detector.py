"""People of whole images by a trained network: boxes, and the joints of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.pose import affine
from train.pose.convention import AREAS
from train.pose.crops import normalised
from train.pose.ogn import named
from train.pose.rcnn.boxes import clipped
from train.pose.rcnn.deltas import REFINED, decoded
from train.pose.rcnn.frames import View, seen
from train.pose.rcnn.model import KeypointRCNN
from train.pose.rcnn.proposals import proposals
from train.pose.rcnn.pyramid import STRIDES
from train.pose.rcnn.recipe import SceneRecipe
from train.pose.rcnn.regions import from_region, ratio_consistent
from train.pose.rcnn.roi_align import roi_align
from train.pose.rcnn.suppression import kept

PROPOSALS = 100  # of an image that the box head looks at
LEAST_SIDE = 1.0  # pixels of the frame: a box with a shorter side, once cut off at the edges, shows nobody


@dataclass(frozen=True, slots=True)
class Choice:
    """Which boxes are given: those that score `least` or more; of two that overlap by IoU above `overlap` the
    better one; the best `most`."""

    least: float = 0.05
    overlap: float = 0.6
    most: int = 20


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The people of one image, best box first.

    boxes float64 [n, 4]: x, y, w, h in pixels of the image, within it; box_scores float64 [n] in [0, 1];
    xy float64 [n, K, 2]: pixel indices; scores float64 [n, K] in [0, 1]. proposals: RoIs that the box head
    looked at.
    """

    boxes: NDArray[np.float64]
    box_scores: NDArray[np.float64]
    xy: NDArray[np.float64]
    scores: NDArray[np.float64]
    proposals: int

    def taken(self, which: NDArray[np.integer] | NDArray[np.bool_]) -> Found:
        """Some of them, in that order, of as many proposals."""
        boxes, xy = self.boxes[which], self.xy[which]
        return Found(boxes, self.box_scores[which], xy, self.scores[which], self.proposals)


class PeopleDetector:
    """A model in eval mode, and the recipe that it was trained with."""

    def __init__(self, model: KeypointRCNN, recipe: SceneRecipe) -> None:
        self.model, self.recipe, self.codec = model, recipe, recipe.build_codec()
        self.device = next(model.parameters()).device

    def find(self, pixels: NDArray[np.uint8], choice: Choice = Choice(), joints: bool = True) -> Found:
        """The people of an image [H, W, 3] RGB. joints: False leaves the joints out, [n, 0, 2]."""
        picture, view = seen(pixels, self.recipe)
        return in_image(self.frames(normalised([picture]), choice, joints)[0], view)

    @torch.no_grad()
    def frames(self, x: NDArray[np.float32], choice: Choice, joints: bool = True) -> list[Found]:
        """The people of frames [N, 3, H, W], in pixels of the frame: boxes are corners, xy coordinates."""
        return self.by_maps(self.model(torch.from_numpy(x).to(self.device)), choice, joints)

    @torch.no_grad()
    def by_maps(self, maps: list[Tensor], choice: Choice, joints: bool = True) -> list[Found]:
        """The same by what the model says of the frames."""
        logits, deltas, anchors, counts = self.model.rpn(maps)
        rois = proposals(logits, deltas, anchors, counts, self.recipe.size, PROPOSALS)
        image = torch.cat([torch.full((len(r),), n, device=self.device) for n, r in enumerate(rois)])
        cells = (self.model.config.cells, self.model.config.cells)
        every = torch.cat(rois)
        persons, moves = self.model.box_head(roi_align(maps, STRIDES, every, image, cells))
        boxes = clipped(decoded(moves, every, REFINED), self.recipe.size)
        scores = persons.softmax(dim=1)[:, 1]
        found = []
        for n in range(len(maps[0])):
            mine = ((image == n) & (scores >= choice.least) & _wide(boxes)).nonzero()[:, 0]
            mine = mine[kept(boxes[mine], scores[mine], choice.overlap, choice.most)]
            xy, sure = self._joints([m[n : n + 1] for m in maps], boxes[mine], joints)
            arrays = (a.double().cpu().numpy() for a in (boxes[mine], scores[mine], xy, sure))
            found.append(Found(*arrays, proposals=len(rois[n])))
        return found

    def _joints(self, maps: Sequence[Tensor], boxes: Tensor, wanted: bool) -> tuple[Tensor, Tensor]:
        """Joints [n, K, 2] of the frame and scores [n, K] in the boxes [n, 4] of one image."""
        joints = self.model.config.joints if wanted else 0
        if not len(boxes) or not joints:
            return boxes.new_zeros((len(boxes), joints, 2)), boxes.new_zeros((len(boxes), joints))
        regions = ratio_consistent(boxes, self.recipe.roi, self.recipe.padding)
        image = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        features = roi_align(maps, STRIDES, regions, image, self.recipe.roi_cells)
        decoded_joints = self.codec.decode_torch(named(self.model.config, self.model.joint_head(features)))
        return from_region(decoded_joints.xy, regions, self.recipe.roi), decoded_joints.score


def _wide(boxes: Tensor) -> Tensor:
    return ((boxes[:, 2:] - boxes[:, :2]) >= LEAST_SIDE).all(dim=1)


def in_image(found: Found, view: View) -> Found:
    """From the frame to the image that it shows: boxes cut off at its edges, those outside left out."""
    way = affine.inverse(view.matrix)
    corners = affine.apply(way, found.boxes.reshape(-1, 2, 2))
    corners = np.clip(corners, 0.0, np.array(view.size, np.float64))
    sides = corners[:, 1] - corners[:, 0]
    boxes, xy = np.concatenate([corners[:, 0], sides], axis=1), affine.apply(way, found.xy) - AREAS.c
    placed = Found(boxes, found.box_scores, xy, found.scores, found.proposals)
    return placed.taken((sides > 0).all(axis=1))
