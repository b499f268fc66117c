"""Keypoint sets: names in the order of the files, and what follows from the names.

Names are spelt alike in all sets ("left knee"), so that a joint of one set is found in another by its name.
Exchanged joints (flip pairs), limbs and, where a set publishes none, OKS sigmas follow from the names: a
sigma is the one that COCO publishes for the joint, CrowdPose's 0.079 for head and neck, the hip's for the
pelvis.
"""

from __future__ import annotations

from dataclasses import dataclass

_SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062,
    "hip": 0.107, "knee": 0.087, "ankle": 0.089, "head": 0.079, "neck": 0.079,
    "thorax": 0.079, "pelvis": 0.107,
}  # fmt: skip
_LIMBS = (
    ("left ankle", "left knee"), ("left knee", "left hip"), ("right ankle", "right knee"),
    ("right knee", "right hip"), ("left hip", "right hip"), ("left shoulder", "left hip"),
    ("right shoulder", "right hip"), ("left shoulder", "right shoulder"), ("left shoulder", "left elbow"),
    ("left elbow", "left wrist"), ("right shoulder", "right elbow"), ("right elbow", "right wrist"),
    ("head top", "neck"), ("head", "neck"), ("neck", "thorax"), ("thorax", "pelvis"), ("nose", "left eye"),
    ("nose", "right eye"), ("left eye", "left ear"), ("right eye", "right ear"), ("nose", "neck"),
)  # fmt: skip
_LOWER = ("hip", "knee", "ankle", "pelvis")


@dataclass(frozen=True, slots=True)
class KeypointSet:
    """The K joints of a data set.

    joints: names in file order. uncounted: joints that the set's metric leaves out. measure: what PCK divides
    a distance by: "torso" (right hip to left shoulder), "head" (the head's size) or "box" (the longer side of
    the person's box). threshold: the share of it within which a joint is right.
    """

    name: str
    joints: tuple[str, ...]
    measure: str = "box"
    threshold: float = 0.1
    uncounted: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """K."""
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Where a joint stands; a ValueError that names the set otherwise."""
        if joint not in self.joints:
            raise ValueError(f"{self.name}: has no joint {joint!r}; it has {', '.join(self.joints)}")
        return self.joints.index(joint)

    @property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) indices of the joints that a mirror exchanges."""
        left = [n for n in self.joints if n.startswith("left ")]
        return tuple((self.index(n), self.index(n.replace("left ", "right ", 1))) for n in left)

    @property
    def flipped(self) -> tuple[int, ...]:
        """Joint k of the mirrored person is joint flipped[k] of the person: its own inverse."""
        other = {a: b for pair in self.flip_pairs for a, b in (pair, pair[::-1])}
        return tuple(other.get(k, k) for k in range(self.size))

    @property
    def skeleton(self) -> tuple[tuple[int, int], ...]:
        """Limbs as pairs of indices, of the joints the set has."""
        return tuple((self.index(a), self.index(b)) for a, b in _LIMBS if {a, b} <= set(self.joints))

    @property
    def sigmas(self) -> tuple[float, ...]:
        """Of OKS, a joint each: the spread of annotators as a share of the person's scale."""
        return tuple(next(s for part, s in _SIGMAS.items() if part in name) for name in self.joints)

    @property
    def upper(self) -> tuple[int, ...]:
        """Joints above the hips; the others are the lower half of the body."""
        return tuple(k for k, name in enumerate(self.joints) if not any(part in name for part in _LOWER))

    @property
    def counted(self) -> tuple[int, ...]:
        """Joints that the set's metric counts."""
        return tuple(k for k, name in enumerate(self.joints) if name not in self.uncounted)


def _sides(*parts: str) -> tuple[str, ...]:
    """Left before right, part by part."""
    return tuple(f"{side} {part}" for part in parts for side in ("left", "right"))


_BODY = _sides("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
COCO = KeypointSet("coco", ("nose", *_sides("eye", "ear"), *_BODY))
CROWDPOSE = KeypointSet("crowdpose", (*_BODY, "head", "neck"))
POSETRACK18 = KeypointSet(
    "posetrack18",
    ("nose", "neck", "head top", *_sides("ear"), *_BODY),
    measure="head", threshold=0.5, uncounted=_sides("ear"),
)  # fmt: skip
LSPET = KeypointSet(
    "lspet",
    (
        "right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle", "right wrist",
        "right elbow", "right shoulder", "left shoulder", "left elbow", "left wrist", "neck", "head top",
    ),
    measure="torso", threshold=0.2,
)  # fmt: skip
MPII = KeypointSet(
    "mpii",
    (
        "right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle", "pelvis", "thorax",
        "neck", "head top", "right wrist", "right elbow", "right shoulder", "left shoulder", "left elbow",
        "left wrist",
    ),
    measure="head", threshold=0.5, uncounted=("pelvis", "thorax"),
)  # fmt: skip
KEYPOINT_SETS = {found.name: found for found in (COCO, CROWDPOSE, POSETRACK18, LSPET, MPII)}


def keypoint_set(name: str) -> KeypointSet:
    """The set called `name`; a ValueError that lists the known ones otherwise."""
    if name not in KEYPOINT_SETS:
        raise ValueError(f"unknown keypoint set {name!r}; known: {', '.join(sorted(KEYPOINT_SETS))}")
    return KEYPOINT_SETS[name]


def shared(source: KeypointSet, target: KeypointSet) -> tuple[tuple[int, int], ...]:
    """(index in source, index in target) of the joints that both have, by name."""
    return tuple((source.index(n), k) for k, n in enumerate(target.joints) if n in source.joints)
