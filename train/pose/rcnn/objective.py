"""The loss of a batch of frames: of proposals, of boxes and of joints, their sum.

    L = rpn_person + rpn_box + person + box + heatmap + offset_weight * offset

Each begins at 1 or below, so that the log is read without a table and none is weighed. The RoIs of
the heads are the network's own proposals and the true boxes, as they are at that moment; which of them a loss
looks at is drawn from torch's generator.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from train.pose.losses import encoded, of_maps
from train.pose.ogn import named
from train.pose.rcnn.box_head import box_losses
from train.pose.rcnn.boxes import iou
from train.pose.rcnn.frames import Truth, truth
from train.pose.rcnn.matching import balanced, match, sampled
from train.pose.rcnn.model import KeypointRCNN
from train.pose.rcnn.proposals import proposals
from train.pose.rcnn.pyramid import STRIDES
from train.pose.rcnn.recipe import SceneRecipe
from train.pose.rcnn.regions import ratio_consistent, to_region
from train.pose.rcnn.roi_align import roi_align
from train.pose.rcnn.rpn import rpn_losses

PROPOSALS = 100  # of an image, for training
PERSON = 0.5  # IoU from which on a RoI is somebody's
SAMPLED, SHARE = 48, 0.33  # RoIs of an image that the box head learns from; at most so many of them people
POSED = 6  # RoIs of an image that the joint head learns from: it is the dearest part


class Rois(NamedTuple):
    """boxes [N, P, 4]; person, looked: bool [N, P]; whose: int64 [N, P]; reached [N, M]: the best proposal's
    overlap with each person, -1 where nobody is."""

    boxes: Tensor
    person: Tensor
    looked: Tensor
    whose: Tensor
    reached: Tensor


class PeopleObjective(nn.Module):
    """The network and the loss of a batch: what `train.course.Learning` asks for."""

    def __init__(self, model: KeypointRCNN, recipe: SceneRecipe, offset_weight: float) -> None:
        super().__init__()
        self.model = model
        self.terms = nn.ModuleList()
        self.recipe, self.codec = recipe, recipe.build_codec()
        self.offset_weight = offset_weight

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """x [N, 3, H, W], labels [N, M, 5 + 3K] (`frames`) -> loss, [N, M] how well the best proposal of each
        person overlaps him (-1: nobody there), parts by name."""
        return self.by_maps(self.model(x), labels)

    def by_maps(self, maps: list[Tensor], labels: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The same by what the model says of x."""
        known = truth(labels)
        logits, deltas, anchors, counts = self.model.rpn(maps)
        somebody, where = rpn_losses(logits, deltas, anchors, known.boxes, known.kind)
        parts = {"rpn_person": somebody, "rpn_box": where}
        found = proposals(logits.detach(), deltas.detach(), anchors, counts, self.recipe.size, PROPOSALS)
        rois = self._rois(found, known)
        parts |= self._box_parts(maps, rois, known)
        parts |= self._joint_parts(maps, rois, known)
        # A map that no RoI is read from would have no gradient, and its parameters no state to resume from.
        loss = sum(parts.values()) + 0.0 * sum(m.float().mean() for m in maps)
        return loss, rois.reached, {name: part.detach() for name, part in parts.items()}

    @torch.no_grad()
    def _rois(self, found: list[Tensor], known: Truth) -> Rois:
        """Proposals and true boxes of each image, matched and drawn."""
        most = max(1, *(len(boxes) for boxes in found))
        padded = torch.stack([torch.cat([b, b.new_zeros(most - len(b), 4)]) for b in found])
        boxes = torch.cat([padded, known.boxes], dim=1)
        there = torch.cat([(padded[..., 2:] > padded[..., :2]).all(-1), known.kind > 0], dim=1)
        matched = match(boxes, known.boxes, known.kind, PERSON, PERSON)
        matched = matched._replace(person=matched.person & there, background=matched.background & there)
        person, background = balanced(matched, SAMPLED, SHARE)
        reached = torch.where(known.kind > 0, iou(known.boxes, padded).amax(dim=2), -1.0)
        return Rois(boxes, person, person | background, matched.whose, reached)

    def _box_parts(self, maps: list[Tensor], rois: Rois, known: Truth) -> dict[str, Tensor]:
        image, place = rois.looked.nonzero(as_tuple=True)
        boxes = rois.boxes[image, place]
        cells = (self.model.config.cells, self.model.config.cells)
        logits, deltas = self.model.box_head(roi_align(maps, STRIDES, boxes, image, cells))
        wanted = known.boxes[image, rois.whose[image, place]]
        of_class, away = box_losses(logits, deltas, boxes, rois.person[image, place], wanted)
        return {"person": of_class, "box": away}

    def _joint_parts(self, maps: list[Tensor], rois: Rois, known: Truth) -> dict[str, Tensor]:
        """The codec's losses in the regions of some of the RoIs that are a person's with joints."""
        jointed = (known.joints[..., 2] > 0).any(-1).gather(1, rois.whose)
        image, place = sampled(rois.person & jointed, POSED).nonzero(as_tuple=True)
        if len(image):
            boxes = rois.boxes[image, place]
            joints = known.joints[image, rois.whose[image, place]]
        else:  # every parameter must have a part in every batch (several processes): a region of nobody
            image = torch.zeros(1, dtype=torch.int64, device=maps[0].device)
            boxes = known.boxes.new_tensor([[0.0, 0.0, *self.recipe.size]])
            joints = torch.zeros_like(known.joints[:1, 0])
        regions = ratio_consistent(boxes, self.recipe.roi, self.recipe.padding)
        features = roi_align(maps, STRIDES, regions, image, self.recipe.roi_cells)
        found = named(self.model.config, self.model.joint_head(features))
        xy = to_region(joints[..., :2], regions, self.recipe.roi)
        targets = encoded(self.codec, torch.cat([xy, joints[..., 2:]], dim=-1))
        return of_maps(self.codec, found, targets, self.offset_weight)
