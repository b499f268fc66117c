"""PCK and PCKh for `evaluate-poses`: predictions matched to people image by image, then joints counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert.ir import BadInput
from deploy.pose.joints import plain
from verbs.output import say, table
from verbs.pose_options import percent, show_notes

TORSO = ("right_hip", "left_shoulder")
UNCOUNTED = {"pelvis", "thorax"}  # of MPII's total


def scored(truth: Path, found: Path, metric: str, threshold: float | None, size: str) -> dict[str, Any]:
    """Print the figures and return them."""
    from deploy.pose.annotations import read
    from train.pose.pck import Pck, pck

    at = threshold or (0.2 if metric == "pck" else 0.5)
    annotated = read(truth)
    names, notes = annotated.joints, dict(annotated.notes)
    predicted = _predicted(found, annotated, notes)
    zero = np.zeros(len(names), np.int64)
    total = Pck(zero, zero)
    for frame in annotated.frames:
        people = [p for p in frame.people if not p.crowd and p.there.any()]
        if not people:
            continue
        points = np.stack([p.keypoints for p in people])
        there = np.stack([p.there for p in people])
        sizes = _sizes(people, points, there, names, metric, size)
        total += pck(_matched(people, predicted.get(frame.image_id, ()), sizes), points, there, sizes, at)
    if total.unsized:
        notes[f"persons left out: no {'head box' if metric == 'pckh' else size} to measure in"] = (
            total.unsized
        )
    show_notes(notes)
    if not total.counted.any():
        raise BadInput(f"{truth}: no annotated joint counts; there is nothing to judge")
    return _shown(total, names, f"{'PCKh' if metric == 'pckh' else 'PCK'}@{at:g}", notes)


def _predicted(path: Path, annotated: Any, notes: dict[str, int]) -> dict[int, Sequence[Any]]:
    """People by image id, of a COCO result list or of PoseTrack18 JSON."""
    from deploy.pose.coco_file import read_results
    from deploy.pose.json_file import load
    from deploy.pose.posetrack import read_poses

    if isinstance(load(path), dict):
        poses = read_poses(path)
        if [plain(n) for n in poses.joints] != [plain(n) for n in annotated.joints]:
            raise BadInput(
                f"{path}: joints {', '.join(poses.joints)}; expected {', '.join(annotated.joints)}"
            )
        notes.update(poses.notes)
        found = {f.image_id: f.people for video in poses.videos for f in video.frames}
    else:
        found, more = read_results(path, len(annotated.joints))
        notes.update(more)
    strange = set(found) - {frame.image_id for frame in annotated.frames}
    if strange:
        raise BadInput(
            f"{path}: image {min(strange)} is not in the ground truth; image ids are kept as they are"
        )
    return found


def _sizes(
    people: Sequence[Any], points: np.ndarray, there: np.ndarray, names: Sequence[str], metric: str, size: str
) -> np.ndarray:
    from train.pose.pck import head, longer_side, torso

    none = np.full(4, np.nan)
    if metric == "pckh":
        return head(np.stack([none if p.head_box is None else p.head_box for p in people]))
    if size == "box":
        return longer_side(np.stack([none if p.box is None else p.box for p in people]))
    known = [plain(name) for name in names]
    if not set(TORSO) <= set(known):
        raise BadInput(f"joints {', '.join(names)}: no {' and '.join(TORSO)}, so no torso; take --size box")
    return torso(points, there, (known.index(TORSO[0]), known.index(TORSO[1])))


def _matched(people: Sequence[Any], found: Sequence[Any], sizes: np.ndarray) -> np.ndarray:
    """float64 [N, K, 2]: the prediction of each person, NaN without one: one to one, by the least mean
    distance over the annotated joints (Hungarian). With one person and one prediction an image that is no
    choice."""
    from deploy.pose.evaluation.mota import nearest

    made = np.full((len(people), len(people[0].there), 2), np.nan)
    away = np.full((len(people), len(found)), np.inf)
    for g, person in enumerate(people):
        for p, other in enumerate(found):
            if other.there.any():
                apart = np.linalg.norm(person.keypoints - other.keypoints, axis=1)[person.there].mean()
                away[g, p] = apart / (sizes[g] if sizes[g] > 0 else 1.0)
    for g, p in nearest(away):
        made[g, found[p].there] = found[p].keypoints[found[p].there]
    return made


def _shown(total: Any, names: Sequence[str], title: str, notes: dict[str, int]) -> dict[str, Any]:
    counted = [k for k, name in enumerate(names) if name not in UNCOUNTED]
    kept = total.among(counted)
    rows = [
        (name, percent(100 * share), int(n))
        for name, share, n in zip(names, total.joints, total.counted, strict=True)
    ]
    say(table(("joint", title, "joints"), rows, right=(1, 2)))
    left_out = f", without {' and '.join(sorted(UNCOUNTED & set(names)))}" if UNCOUNTED & set(names) else ""
    say(f"{title}: {percent(100 * kept.pooled)} of {int(kept.counted.sum())} joints together{left_out}; "
        f"{percent(100 * kept.mean)} mean over joints")  # fmt: skip
    shares = {n: None if np.isnan(s) else float(s) for n, s in zip(names, total.joints, strict=True)}
    return {
        "figure": title, "pooled": kept.pooled, "mean": kept.mean, "joints": shares,
        "counted": total.counted.tolist(), "right": total.right.tolist(), "notes": notes,
    }  # fmt: skip
