"""Counts of a keypoint R-CNN where it finds boxes: of the frame once, of the box head for each proposal.

    counts(n proposals) = counts(backbone, pyramid, RPN on a frame) + n counts(box head on one RoI)

Dense: shapes decide them, every value counts as non-zero. The joint head does not run for boxes. What has no
count stands in UNCOUNTED.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convert.ir import BadInput
from energy.line import Counts, repeated

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.pose.rcnn.detector import PeopleDetector
    from train.pose.rcnn.model import KeypointRCNN

COUNTED = "backbone, pyramid and RPN once an image, box head once a proposal, every value as non-zero"
UNCOUNTED = {
    "the image brought to the frame": "OpenCV warps it, outside the network",
    "anchors, deltas to boxes, softmax": "a few operations a box, in no layer",
    "the best of each level, NMS": "sorting and comparing: how much depends on the boxes",
    "RoIAlign": "interpolates at places that depend on the image: no operand is a layer's",
    "the joint head": "does not run for boxes",
}


class PeopleCounter:
    """Of one trained network and its frame: counted once, on torch's meta device, where nothing is
    computed."""

    def __init__(self, detector: PeopleDetector) -> None:
        import torch

        from energy.torch_counts.counter import TorchCounter
        from train.pose.rcnn.model import KeypointRCNN

        config = detector.model.config
        with torch.device("meta"):
            blank = KeypointRCNN(config)
            frame = torch.empty(3, *detector.recipe.size[::-1])
            roi = torch.empty(config.channels, config.cells, config.cells)
        once, each = _parts(blank)
        self._once, self._each = TorchCounter(once).count(frame)[1], TorchCounter(each).count(roi)[1]
        if odd := [u.node for u in (*self._once.uncounted, *self._each.uncounted)]:
            raise BadInput(f"keypoint-rcnn: {', '.join(odd)}: no rule counts it; please report the model")

    def count(self, proposals: int) -> Counts:
        """Of one image, whose box head looked at so many proposals."""
        heads = repeated(self._each, np.array([proposals]))
        return replace(self._once, lines=(*self._once.lines, *heads.lines))


def _parts(model: KeypointRCNN) -> tuple[nn.Module, nn.Module]:
    """(what runs once an image, what runs once a RoI), as modules whose parts keep their names."""
    from torch import nn

    class Frame(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.pyramid, self.rpn = model.backbone, model.pyramid, model.rpn

        def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
            return self.rpn.maps(self.pyramid(self.backbone.levels(x)))

    class Region(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.box_head = model.box_head

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.box_head(x)

    return Frame(), Region()
