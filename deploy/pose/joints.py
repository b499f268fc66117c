"""Sets of joints by name, and the sigmas of their OKS: how far apart people put a joint, relative to size.

Sigmas of COCO and CrowdPose are the published ones. Sets without published ones (LSPET, MPII, PoseTrack18)
take COCO's for the joint of the same name, CrowdPose's .079 for head and neck, and the hips' .107 for the
pelvis: our choice, said here and in every report that uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convert.ir import BadInput

COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
    "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
POSETRACK18 = ("nose", "head_bottom", "head_top", *COCO[3:])
CROWDPOSE = (*COCO[5:], "head", "neck")
LSPET = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist",
    "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top",
)  # fmt: skip
MPII = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
    "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
    "left_wrist",
)  # fmt: skip

_PARTS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062,
    "hip": 0.107, "knee": 0.087, "ankle": 0.089, "head": 0.079, "neck": 0.079, "head_top": 0.079,
    "thorax": 0.079, "pelvis": 0.107,
}  # fmt: skip

# What the files call one joint.
_SAME = {"head_bottom": "neck", "upper_neck": "neck", "top_head": "head_top"}

# PoseTrack's groups, in the order of poseval's table; names as `plain` gives them.
GROUPS = {
    "head": ("nose", "neck", "head_top"),
    "shoulder": ("left_shoulder", "right_shoulder"),
    "elbow": ("left_elbow", "right_elbow"),
    "wrist": ("left_wrist", "right_wrist"),
    "hip": ("left_hip", "right_hip"),
    "knee": ("left_knee", "right_knee"),
    "ankle": ("left_ankle", "right_ankle"),
}


@dataclass(frozen=True, slots=True)
class JointSet:
    """Names in the order of the files, and whether the sigmas are published ones."""

    name: str
    joints: tuple[str, ...]
    published: bool


SETS = {
    "coco": JointSet("coco", COCO, True),
    "crowdpose": JointSet("crowdpose", CROWDPOSE, True),
    "posetrack18": JointSet("posetrack18", POSETRACK18, False),
    "lspet": JointSet("lspet", LSPET, False),
    "mpii": JointSet("mpii", MPII, False),
}


def sigmas(names: Sequence[str]) -> np.ndarray:
    """float64 [K]: the OKS sigma of each joint by its name, sides and spelling aside."""
    return np.array([_sigma(name) for name in names], np.float64)


def plain(name: str) -> str:
    """The name as it is compared: 'Left Wrist' and 'left_wrist' are one, and so are what files call the
    neck.
    """
    made = "_".join(name.lower().replace("-", "_").split())
    return _SAME.get(made, made)


def _sigma(name: str) -> float:
    part = plain(name).removeprefix("left_").removeprefix("right_")
    if part not in _PARTS:
        known = ", ".join(sorted(_PARTS))
        raise BadInput(f"joint {name!r} has no OKS sigma here; known: {known}; give --sigmas S1,S2,...")
    return _PARTS[part]


def set_of(names: Sequence[str]) -> JointSet | None:
    """The known set with these names in this order, or None."""
    wanted = [plain(name) for name in names]
    return next((s for s in SETS.values() if [plain(name) for name in s.joints] == wanted), None)


def judged(names: Sequence[str]) -> list[int]:
    """Indices of the joints that PoseTrack's metrics judge: all but PoseTrack18's ears, never annotated."""
    known = [plain(name) for name in names]
    ears = {"left_ear", "right_ear"} if {"neck", "head_top"} <= set(known) else set()
    return [k for k, name in enumerate(known) if name not in ears]
