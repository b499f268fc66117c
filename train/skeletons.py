"""Skeleton layouts: joint names, the tree of bones, and the graph partitions of graph convolution.

Numpy only. The bone of a joint points from its parent to it (bone = child - parent); the root's
bone is zero. Sources: NW-UCLA / Kinect v1 order and edges of the CTR-GCN feeder; NTU RGB+D joints
1-25 with the same project's edges.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Layout:
    """One joint order.

    parents[i] is the joint that i hangs on; the root is its own parent. pairs are (left, right)
    joints that a mirror swaps. centre is the joint that clips are centred on.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    centre: int

    def __post_init__(self) -> None:
        if len(self.parents) != len(self.joints):
            raise ValueError(f"layout {self.name}: {len(self.parents)} parents for {len(self.joints)} joints")

    @property
    def size(self) -> int:
        """V, the number of joints."""
        return len(self.joints)

    @property
    def root(self) -> int:
        """The joint that is its own parent."""
        return next(i for i, p in enumerate(self.parents) if i == p)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(child, parent) of every bone."""
        return tuple((i, p) for i, p in enumerate(self.parents) if i != p)


_LIMBS = (
    "left shoulder", "left elbow", "left wrist", "left hand",
    "right shoulder", "right elbow", "right wrist", "right hand",
    "left hip", "left knee", "left ankle", "left foot",
    "right hip", "right knee", "right ankle", "right foot",
)  # fmt: skip
_LIMB_PAIRS = tuple((i, i + 4) for i in (*range(4, 8), *range(12, 16)))

KINECT20 = Layout(
    name="kinect20",
    joints=("hip centre", "spine", "shoulder centre", "head", *_LIMBS),
    parents=(1, 2, 2, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18),
    pairs=_LIMB_PAIRS,
    centre=1,
)

# The hand tips hang on the thumbs, as in the field's published graph, so that results compare.
NTU25 = Layout(
    name="ntu25",
    joints=(
        "spine base", "spine mid", "neck", "head", *_LIMBS, "spine shoulder",
        "left hand tip", "left thumb", "right hand tip", "right thumb",
    ),
    parents=(
        1, 20, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 20, 22, 7, 24, 11,
    ),
    pairs=(*_LIMB_PAIRS, (21, 23), (22, 24)),
    centre=1,
)  # fmt: skip

LAYOUTS: dict[str, Layout] = {item.name: item for item in (KINECT20, NTU25)}


def layout(name: str) -> Layout:
    """The layout called `name`; a ValueError that lists the known ones otherwise."""
    if name not in LAYOUTS:
        raise ValueError(f"unknown skeleton layout {name!r}; known: {', '.join(sorted(LAYOUTS))}")
    return LAYOUTS[name]


def adjacency(name: str) -> np.ndarray:
    """float32 [3, V, V]: partitions self, inward (child to parent), outward (parent to child).

    y[w] = sum_v x[v] A[k, v, w]; the columns of each partition sum to 1, or to 0 where no edge
    ends.
    """
    here = layout(name)
    a = np.zeros((3, here.size, here.size), dtype=np.float32)
    a[0] = np.eye(here.size)
    children = Counter(parent for _, parent in here.edges)
    for child, parent in here.edges:
        a[1, child, parent] = 1.0 / children[parent]
        a[2, parent, child] = 1.0
    return a
