"""Object keypoint similarity (OKS): how alike two poses are, from 0 to 1.

    oks(p, q) = mean over joints k of exp(-|p_k - q_k|^2 / (2 area (2 sigma_k)^2))

COCO's formula; its `area` is the person's, in pixels, its sigma_k how far apart people put joint k. Between
two detections the area is the mean of theirs and the joints are those both have (`common`), as in OKS-NMS.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deploy.pose.people import Person, extent

LEAST_AREA = 1.0  # of a pixel: a person of one joint has a box without area, and a division needs one


def oks(
    p: np.ndarray, q: np.ndarray, area: np.ndarray, sigmas: np.ndarray, common: np.ndarray | None = None
) -> np.ndarray:
    """float64 [...]: OKS of poses p and q, float [..., K, 2], by area [...] and sigmas [K].

    common: bool [..., K], the joints that count; all without it. Where no joint counts the similarity is 0.
    """
    distance = ((p - q) ** 2).sum(axis=-1)
    alike = np.exp(-distance / (2 * (2 * sigmas) ** 2 * np.maximum(area, LEAST_AREA)[..., None]))
    if common is None:
        return alike.mean(axis=-1)
    return (alike * common).sum(axis=-1) / np.maximum(common.sum(axis=-1), 1)


def pairwise(
    points: np.ndarray,
    there: np.ndarray,
    areas: np.ndarray,
    others: tuple[np.ndarray, ...],
    sigmas: np.ndarray,
) -> np.ndarray:
    """float64 [N, M]: OKS of N poses with M others = (points [M, K, 2], there [M, K], areas [M])."""
    their_points, their_there, their_areas = others
    return oks(
        points[:, None],
        their_points[None],
        (areas[:, None] + their_areas[None]) / 2,
        sigmas,
        there[:, None] & their_there[None],
    )


def area(person: Person) -> float:
    """The person's area in pixels: the file's, else that of its box or of the box around its joints."""
    if person.area is not None:
        return person.area
    box = extent(person)
    return 0.0 if box is None else float(box[2] * box[3])


def stacked(people: Sequence[Person], joints: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(points [N, K, 2], there [N, K], areas [N]) of persons."""
    if not people:
        return np.zeros((0, joints, 2)), np.zeros((0, joints), bool), np.zeros(0)
    points = np.stack([p.keypoints for p in people])
    return points, np.stack([p.there for p in people]), np.array([area(p) for p in people])
