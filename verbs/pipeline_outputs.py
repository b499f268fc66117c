"""What the pipeline says of its tracks: actions.json, and the words on the rendering."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deploy.pose.drawing import Label, Painter
from deploy.pose.film import Film
from deploy.pose.footage import Footage
from deploy.pose.people import Frame, Person, Video
from deploy.pose.windows import Window
from verbs.output import table
from verbs.pipeline_actions import Answer

MJ = 1e-9  # millijoules of a picojoule


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """All that was found. answers: of judged windows; left: windows that were not judged; pose_pj: annotation
    id -> picojoules of its crop, empty where poses were not counted."""

    video: Video
    classes: tuple[str, ...]
    answers: Sequence[Answer]
    left: Sequence[Window]
    pose_pj: Mapping[str | int, float]


def actions(told: Told) -> list[dict[str, Any]]:
    """One entry a track: frames, class, scores (means over its judged windows), energy, windows."""
    people: dict[int, list[tuple[int, Person]]] = defaultdict(list)
    for place, frame in enumerate(told.video.frames):
        for person in frame.people:
            if person.track_id is not None:
                people[person.track_id].append((place, person))
    return [_track(told, track, seen) for track, seen in sorted(people.items())]


def _track(told: Told, track: int, seen: Sequence[tuple[int, Person]]) -> dict[str, Any]:
    mine = [a for a in told.answers if a.window.track == track]
    scores = np.mean([a.scores for a in mine], axis=0) if mine else None
    share = np.mean([a.share for a in mine], axis=0) if mine else None
    return {
        "track_id": track, "first_frame": seen[0][0], "last_frame": seen[-1][0], "frames": len(seen),
        "class": None if scores is None else told.classes[int(scores.argmax())],
        "scores": None if scores is None else scores.tolist(),
        "share": None if share is None else share.tolist(),
        "pose_mj": _total([told.pose_pj.get(p.id) if p.id is not None else None for _, p in seen]),
        "action_mj": _total([a.pj for a in mine]),
        "windows": [_window(told, a) for a in mine]
        + [
            {"start": w.start, "stop": w.stop, "seen": w.seen, "class": None, "why": w.why}
            for w in told.left
            if w.track == track
        ],
    }  # fmt: skip


def _window(told: Told, answer: Answer) -> dict[str, Any]:
    window = answer.window
    return {
        "start": window.start, "stop": window.stop, "seen": window.seen, "class": told.classes[answer.label],
        "scores": answer.scores.tolist(), "share": answer.share.tolist(),
        "mj": None if answer.pj is None else answer.pj * MJ,
    }  # fmt: skip


def _total(pj: Sequence[float | None]) -> float | None:
    """Millijoules of all; None where one of them is not known."""
    known = [value for value in pj if value is not None]
    return sum(known) * MJ if known and len(known) == len(pj) else None


def action_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """For people."""
    rows = [
        (e["track_id"], f"{e['first_frame']}-{e['last_frame']}", e["frames"], e["class"] or "not judged",
         f"{100 * max(e['share']):.0f} %" if e["share"] else "-", _mj(e["pose_mj"]), _mj(e["action_mj"]))
        for e in entries
    ]  # fmt: skip
    head = ("track", "frames", "seen", "action", "share", "poses mJ", "action mJ")
    return table(head, rows, right=(0, 1, 2, 4, 5, 6))


def render(
    told: Told, footage: Footage, folder: Path, form: str, notes: str, advance: Callable[[], None]
) -> str:
    """The footage once more, with what was found drawn on it; the form it was written in."""
    first = told.video.frames[0]
    painter = Painter(told.video.joints, (first.width or 1, first.height or 1))
    said = _Sayings(told)
    with Film(folder, painter.size, footage.fps, len(told.video.frames), form) as film:
        if film.form == "none":
            return "none"
        for shot, frame in zip(footage, told.video.frames, strict=False):
            people = [(person, said.label(person, shot.number)) for person in frame.people]
            film.add(painter.frame(shot.image, people, (said.footer(frame, shot.number), notes)))
            advance()
    return film.form


class _Sayings:
    """Words over persons and below frames; energy adds up as the video goes on."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._answers: dict[int, list[Answer]] = defaultdict(list)
        for answer in told.answers:
            self._answers[answer.window.track].append(answer)
        self._spent: dict[int, float] = defaultdict(float)
        self._crops: dict[int, list[float]] = defaultdict(list)  # image id -> picojoules
        for annotation, pj in told.pose_pj.items():
            self._crops[int(annotation) // 100].append(pj)
        costs = [a.pj for a in told.answers if a.pj is not None]
        self._each = f"actions: {_mj(float(np.mean(costs)) * MJ)} mJ a window" if costs else ""

    def label(self, person: Person, number: int) -> Label:
        """Track, action of the window round this frame, and what knowing it has cost so far."""
        track = -1 if person.track_id is None else person.track_id
        mine = self._answers[track]
        self._spent[track] += self._told.pose_pj.get(-1 if person.id is None else person.id, 0.0)
        spent = self._spent[track] + sum(a.pj or 0.0 for a in mine if a.window.stop <= number + 1)
        words = ""
        if mine:
            nearest = min(mine, key=lambda a: abs(a.window.start + a.window.stop - 1 - 2 * number))
            words = f" {self._told.classes[nearest.label]} {100 * nearest.share.max():.0f}%"
        return Label(f"#{track}{words}", f"{_mj(spent * MJ)} mJ" if spent else "")

    def footer(self, frame: Frame, number: int) -> str:
        """Frame, people, and energy of stages."""
        crops = self._crops.get(frame.image_id)
        parts = [f"frame {number + 1} of {len(self._told.video.frames)}", f"people: {len(frame.people)}"]
        if crops:
            parts.append(f"poses: {len(crops)} crops, {_mj(sum(crops) * MJ)} mJ")
        return "    ".join([*parts, self._each])


def _mj(value: float | None) -> str:
    """Three digits, without an exponent."""
    if value is None:
        return "-"
    digits = 3 - int(np.ceil(np.log10(value))) if value > 0 else 0
    return f"{value:.{max(0, digits)}f}"
