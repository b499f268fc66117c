"""Which image of a file of boxes or poses is which frame of a video.

the file lists images and the frames have names   the image of that file name; where the file names a folder
                                                  too it must be the video's: every video has a 000000.jpg
it lists images, the frames are a video file's    the n-th image by frame_id, else as listed, is frame n;
                                                  there must be as many
it lists none (COCO's results)                    image_id is the frame's number, from 0

An image listed again is read once, or refused, as everywhere (deploy.pose.annotations).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from convert.ir import BadInput
from deploy.pose.annotations import images as listed
from deploy.pose.footage import Footage
from deploy.pose.json_file import load, part


@dataclass(frozen=True, slots=True)
class FrameIds:
    """found: frame number -> image id, for frames that a file has an image of; None: the number is the id."""

    found: Mapping[int, int] | None = None

    def of(self, number: int) -> int | None:
        """The image id of a frame, or None."""
        return number if self.found is None else self.found.get(number)


def frame_ids(path: Path, footage: Footage) -> FrameIds:
    """The ids that a file gives the frames. BadInput where none of its images is a frame."""
    body = load(path)
    if not isinstance(body, Mapping):
        return FrameIds()
    images = listed(part(body, "images", list, str(path)), str(path), Counter())
    named = [(image, PurePosixPath(str(entry.get("file_name", "")))) for image, entry in images.items()]
    found = _by_name(named, footage, path) if footage.names else _by_place(images.values(), footage, path)
    if not found:
        raise BadInput(f"{path}: none of its {len(images)} images is a frame of {footage.path}")
    return FrameIds(found)


def _by_name(named: Sequence[tuple[int, PurePosixPath]], footage: Footage, path: Path) -> dict[int, int]:
    folder = footage.path.resolve().name
    other = [file for _, file in named if file.parent.name not in ("", folder)]
    here = [(image, file.name) for image, file in named if file.parent.name in ("", folder)]
    if not here and other:
        raise BadInput(
            f"{path}: its images are of folder {other[0].parent.name}, the frames of {folder}; give the file "
            "of this video, or name the folder as the file does"
        )
    images = {name: image for image, name in here}
    if len(images) < len(here):
        raise BadInput(f"{path}: lists two images of one file name in {folder}; expected each once")
    return {n: images[name] for n, name in enumerate(footage.names) if name in images}


def _by_place(images: Collection[Mapping[str, Any]], footage: Footage, path: Path) -> dict[int, int]:
    if len(images) != footage.frames:
        raise BadInput(
            f"{path}: lists {len(images)} images, {footage.path} has {footage.frames} frames; expected as "
            "many, as frames of a video file have no names"
        )
    order: Iterable[Mapping[str, Any]] = images
    if all(isinstance(entry.get("frame_id"), int) for entry in images):
        order = sorted(images, key=lambda entry: entry["frame_id"])
    return {number: entry["id"] for number, entry in enumerate(order)}
