"""Non-maximum suppression: of boxes that overlap, the one that scores best.

Greedy: candidates go by falling score, equal ones in the order given; one that overlaps a kept one by IoU
above a limit is left out.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from train.pose.rcnn.boxes import iou


def kept(boxes: Tensor, scores: Tensor, limit: float, most: int | None = None) -> Tensor:
    """int64 [n], best first: which of boxes [A, 4] with scores [A] stay; no more than `most`."""
    order = torch.argsort(scores, descending=True, stable=True)
    near = (iou(boxes[order], boxes[order]) > limit).cpu().numpy()
    alive = np.ones(len(order), bool)
    chosen: list[int] = []
    for candidate in range(len(order)):
        if alive[candidate]:
            chosen.append(candidate)
            if most is not None and len(chosen) == most:
                break
            alive &= ~near[candidate]
    return order[torch.tensor(chosen, dtype=torch.int64, device=order.device)]
