"""Keypoint R-CNN: an image to people's boxes and joints, in one network (after Mask R-CNN, He et al. 2017).

    backbone, pyramid    [N, 3, H, W] -> maps of strides 4, 8, 16, 32
    RPN                  -> proposals: where somebody may be
    box head             proposals, RoIAlign to cells x cells -> person or not, the box
    joint head           boxes widened to the codec's ratio (`regions`), RoIAlign -> heatmaps and offsets

Heatmaps and offsets are read as the two-stage network's are, by the same codec (`train.pose.codecs`). What
connects the parts, who is matched with whom and what a loss looks at, is `objective`'s; what is done with the
answers `detector`'s. It is no graph: which RoIs there are depends on the image.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from train.pose.backbones.registry import LEVELLED, trunk
from train.pose.codecs.codec import CHANNELS
from train.pose.rcnn.box_head import BoxHead
from train.pose.rcnn.joint_head import GROUPS, JointHead
from train.pose.rcnn.pyramid import STRIDES, Pyramid
from train.pose.rcnn.rpn import RPN


@dataclass(frozen=True, slots=True)
class KeypointRCNNConfig:
    """joints, heads, kinds: as in `train.pose.ogn.OGNConfig`.

    backbone   tiny, small, resnet18, resnet50      channels   of the pyramid, a multiple of 16
    anchors    their size at strides 4, 8, 16, 32 in pixels, 0: none there      ratios   height / width
    cells      of a side of a box head's RoI        hidden     units of the box head
    depth      3x3 convolutions of the joint head
    """

    joints: int = 17
    heads: tuple[str, ...] = ("heatmap", "offset")
    kinds: tuple[str, ...] = ("scalar", "vector")
    backbone: str = "small"
    channels: int = 64
    anchors: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    cells: int = 7
    hidden: int = 256
    depth: int = 3

    def __post_init__(self) -> None:
        for name, legal, expected in (
            ("heads", set(self.kinds) <= set(CHANNELS) and len(self.kinds) == len(self.heads),
             "scalar or vector maps, a kind each"),
            ("joints", self.joints >= 1, "1 or more"),
            ("backbone", self.backbone in LEVELLED, f"one of {', '.join(LEVELLED)}"),
            ("channels", self.channels > 0 and self.channels % (2 * GROUPS) == 0, "a multiple of 16"),
            ("anchors", len(self.anchors) == len(STRIDES) and min(self.anchors) >= 0 < max(self.anchors),
             f"{len(STRIDES)} sizes in pixels, not all 0"),
            ("ratios", len(self.ratios) > 0 and min(self.ratios) > 0, "numbers above 0"),
            ("cells", self.cells >= 1, "1 or more"),
            ("hidden", self.hidden >= 1, "1 or more"),
            ("depth", self.depth >= 1, "1 or more"),
        ):  # fmt: skip
            if not legal:
                raise ValueError(f"keypoint-rcnn: {name} is {getattr(self, name)!r}; expected {expected}")


class KeypointRCNN(nn.Module):
    """The parts; [N, 3, H, W] -> the pyramid's maps."""

    def __init__(self, config: KeypointRCNNConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = trunk(config.backbone)
        self.pyramid = Pyramid(self.backbone.widths, config.channels)
        self.rpn = RPN(config.channels, STRIDES, config.anchors, config.ratios)
        self.box_head = BoxHead(config.channels, config.cells, config.hidden)
        self.joint_head = JointHead(config.channels, config.depth, config)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps [N, channels, H / s, W / s] for s in 4, 8, 16, 32; H and W are multiples of 32."""
        return self.pyramid(self.backbone.levels(x))
