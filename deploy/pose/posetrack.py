"""PoseTrack18's JSON, in and out: the file of poses over frames, with or without tracks.

It is also this project's own file of a video's poses: `categories[0].keypoints` names the joints, whatever
they are, and persons may lack `track_id`. Image ids are kept as they are: an id of PoseTrack is '1', the six
digits of the video and the four of the frame, and a file whose images were counted anew matches nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convert.ir import BadInput
from convert.ir.files import whole
from deploy.pose.annotations import Annotations, read
from deploy.pose.coco_file import read_results
from deploy.pose.json_file import load
from deploy.pose.people import Frame, Person, Video

TRACKS = 10_000  # poseval takes no track id from here on


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """The videos of a file or folder, and what was mended while reading (text -> how often)."""

    videos: tuple[Video, ...]
    notes: dict[str, int]

    @property
    def joints(self) -> tuple[str, ...]:
        """The names of the joints, the same in all videos."""
        return self.videos[0].joints


def read_poses(path: Path) -> Poses:
    """A PoseTrack18 file, or all .json files of a folder: videos in order of names, frames by frame number.

    A file may hold one video or many (`vid_id` parts them). BadInput also where files differ in joints, an
    image is in two of them, or a track id is used twice in one frame or is none PoseTrack takes.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise BadInput(f"{path}: holds no .json file; expected PoseTrack18 annotations")
    notes: Counter[str] = Counter()
    videos: list[Video] = []
    for file in files:
        found = read(file)
        notes.update(found.notes)
        videos += _videos(found, file, notes)
    _check(videos, path)
    return Poses(tuple(videos), {text: count for text, count in notes.items() if count})


def read_with_results(path: Path, annotations: Path | None) -> Poses:
    """`read_poses`, or a COCO result list over the images of an annotation file, which orders and names them.

    BadInput where a list comes without annotations, or has an image that they do not list.
    """
    if path.is_dir() or not isinstance(load(path), list):
        return read_poses(path)
    if annotations is None:
        raise BadInput(f"{path}: is a result list, without frames or joint names; give --annotations too")
    frames = read_poses(annotations)
    people, notes = read_results(path, len(frames.joints))
    known = {frame.image_id for video in frames.videos for frame in video.frames}
    if strange := set(people) - known:
        raise BadInput(
            f"{path}: image {min(strange)} is not in {annotations}; image ids are kept as they are, never "
            "counted anew"
        )
    videos = [
        replace(video, frames=tuple(replace(f, people=people.get(f.image_id, ())) for f in video.frames))
        for video in frames.videos
    ]
    return Poses(tuple(videos), {**frames.notes, **notes})


def _videos(found: Annotations, file: Path, notes: Counter[str]) -> list[Video]:
    grouped: dict[str, list[Frame]] = {}
    for frame in found.frames:
        grouped.setdefault(str(frame.fields.get("vid_id", file.stem)), []).append(frame)
        notes["images without vid_id: taken as one video of their file"] += "vid_id" not in frame.fields
    if not grouped:
        notes[f"{file.name}: no images"] += 1
    return [Video(name, found.joints, tuple(sorted(frames, key=_number))) for name, frames in grouped.items()]


def _number(frame: Frame) -> int:
    """What orders frames: their number; files without one are in order as they are."""
    found = frame.fields.get("frame_id", 0)
    return found if isinstance(found, int) else 0


def _check(videos: Sequence[Video], path: Path) -> None:
    if not videos:
        raise BadInput(f"{path}: lists no images; there is nothing to follow or to judge")
    seen: set[int] = set()
    for video in videos:
        if video.joints != videos[0].joints:
            raise BadInput(
                f"{path}: video {video.name} has joints {video.joints}, others {videos[0].joints}; "
                "expected one set of joints"
            )
        for frame in video.frames:
            if frame.image_id in seen:
                raise BadInput(f"{path}: image {frame.image_id} is in more than one file or video")
            seen.add(frame.image_id)
            _check_tracks(frame, path)


def _check_tracks(frame: Frame, path: Path) -> None:
    ids = [p.track_id for p in frame.people if p.track_id is not None]
    for track in ids:
        if not 0 <= track < TRACKS:
            at = f"{path}: image {frame.image_id}"
            raise BadInput(f"{at}: track_id {track}; expected 0 to {TRACKS - 1}, as PoseTrack's are")
    twice = [track for track, count in Counter(ids).items() if count > 1]
    if twice:
        raise BadInput(f"{path}: image {frame.image_id}: track_id {twice[0]} is used by two persons")


def write_poses(path: Path, videos: Iterable[Video]) -> None:
    """Videos as one PoseTrack18 file, whole or not at all."""
    try:
        text = json.dumps(document(list(videos)), allow_nan=False)
    except ValueError as error:
        raise BadInput(f"{path}: an image has a field that is not finite; JSON has no such number") from error
    with whole(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8")


def document(videos: Sequence[Video]) -> dict[str, Any]:
    """The body of a PoseTrack18 file: images with the fields they came with, a person a line."""
    if not videos:
        raise BadInput("no video: a file of poses holds at least one")
    category = {"supercategory": "person", "id": 1, "name": "person", "skeleton": []}
    body: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{**category, "keypoints": list(videos[0].joints)}],
    }
    for video in videos:
        for frame in video.frames:
            body["images"].append(_image(video, frame))
            body["annotations"] += [_annotation(frame, p, k) for k, p in enumerate(frame.people)]
    return body


def _image(video: Video, frame: Frame) -> dict[str, Any]:
    own = {
        "id": frame.image_id,
        "frame_id": frame.fields.get("frame_id", frame.image_id),
        "vid_id": video.name,
        "file_name": frame.file_name,
        "nframes": frame.fields.get("nframes", len(video.frames)),
        "is_labeled": frame.labelled,
        "ignore_regions_x": [polygon[:, 0].tolist() for polygon in frame.ignore],
        "ignore_regions_y": [polygon[:, 1].tolist() for polygon in frame.ignore],
    }
    sizes = {k: v for k, v in (("width", frame.width), ("height", frame.height)) if v is not None}
    return {**frame.fields, **own, **sizes}


def _annotation(frame: Frame, person: Person, place: int) -> dict[str, Any]:
    """An annotation; its id is the image's followed by two digits of the person, unless it has one."""
    table = np.concatenate([person.keypoints, person.visibility[:, None]], axis=1)
    entry: dict[str, Any] = {
        "id": person.id if person.id is not None else _new_id(frame, place),
        "image_id": frame.image_id,
        "category_id": 1,
        "keypoints": [_short(v) for v in table.reshape(-1)],
        "num_keypoints": int(person.there.sum()),
        "scores": [] if person.scores is None else [float(s) for s in person.scores],
        "iscrowd": int(person.crowd),
    }
    for key, value in (("bbox", person.box), ("bbox_head", person.head_box)):
        if value is not None:
            entry[key] = [_short(v) for v in value]
    rest = {"track_id": person.track_id, "score": person.score, "area": person.area}
    return entry | {key: value for key, value in rest.items() if value is not None}


def _short(value: float) -> float | int:
    """The same number, without '.0' where it is whole: files of poses are long."""
    return int(value) if float(value).is_integer() else float(value)


def _new_id(frame: Frame, place: int) -> int:
    if place > 99:
        raise BadInput(
            f"image {frame.image_id}: more than 100 persons; PoseTrack18 numbers them with two digits, "
            "raise --score-threshold"
        )
    return frame.image_id * 100 + place
