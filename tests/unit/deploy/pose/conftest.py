"""Small files of poses, written by the tests: a skeleton that walks, in PoseTrack18's form."""

from __future__ import annotations

import json

import numpy as np
import pytest

from deploy.pose.joints import POSETRACK18

EARS = (3, 4)
SHAPE = np.array(
    [[20, 10], [20, 22], [20, 0], [0, 0], [0, 0], [30, 30], [10, 30], [36, 55], [4, 55], [38, 75], [2, 75],
     [26, 80], [14, 80], [27, 110], [13, 110], [28, 140], [12, 140]], float,
)  # fmt: skip
HEAD = 25.0  # side of the head box; the head size is 0.6 * 25 * sqrt(2)


def entry(image, place, at, track=None, score=None, lost=(), head=True):
    """An annotation of a person whose frame of reference lies at `at`."""
    there = np.ones(17, bool)
    there[[*EARS, *lost]] = False
    points = np.where(there[:, None], SHAPE + at, 0.0)
    made = {
        "id": image * 100 + place, "image_id": image, "category_id": 1, "iscrowd": 0,
        "keypoints": np.concatenate([points, there[:, None]], axis=1).reshape(-1).tolist(),
        "num_keypoints": int(there.sum()), "bbox": [at[0], at[1], 40.0, 140.0], "scores": [],
    }  # fmt: skip
    if head:
        made["bbox_head"] = [at[0] + 8, at[1] - 2, HEAD, HEAD]
    if track is not None:
        made["track_id"] = track
    if score is not None:
        made["scores"], made["score"] = [score] * 17, score
    return made


def body(frames, video="000001", first=10000010000, images=None):
    """PoseTrack18 JSON of frames = lists of (place, keyword arguments of `entry`)."""
    listed = [
        {"id": first + t, "frame_id": first + t, "vid_id": video, "file_name": f"{t:06d}.jpg",
         "nframes": len(frames), "is_labeled": True, "width": 640, "height": 480,
         "ignore_regions_x": [], "ignore_regions_y": []}
        for t in range(len(frames))
    ]  # fmt: skip
    for t, changes in (images or {}).items():
        listed[t] |= changes
    people = [
        entry(first + t, place, np.array(at, float), **more)
        for t, frame in enumerate(frames)
        for place, (at, more) in enumerate(frame)
    ]
    category = {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(POSETRACK18)}
    return {"images": listed, "annotations": people, "categories": [category]}


@pytest.fixture
def poses(tmp_path):
    """poses(frames, ...) -> path of a PoseTrack18 file; frames: lists of (place, keyword arguments)."""

    def write(frames, name="poses.json", **more):
        path = tmp_path / name
        path.write_text(json.dumps(body(frames, **more)))
        return path

    return write


@pytest.fixture
def pose_body():
    """The same, as a Python value."""
    return body


@pytest.fixture
def head_size():
    """Of every person here, in pixels."""
    return 0.6 * HEAD * float(np.sqrt(2))


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    """unpacked(archive, part) -> a folder with the files of a .tar.gz or .zip whose names begin with
    `part`.
    """
    import tarfile
    import zipfile

    made = {}

    def unpack(archive, part):
        if (archive, part) not in made:
            folder = tmp_path_factory.mktemp("data")
            if archive.suffix == ".zip":
                with zipfile.ZipFile(archive) as file:
                    file.extractall(folder, [n for n in file.namelist() if n.startswith(part)])
            else:
                with tarfile.open(archive) as file:
                    file.extractall(folder, [m for m in file if m.name.startswith(part)], filter="data")
            made[archive, part] = folder
        return made[archive, part]

    return unpack
