"""The frames of a video, one at a time: a folder of images or a video file.

Nothing but the frame at work is in memory, and footage can be gone through again: once for poses, once for
the rendering. Frames of a folder go by the numbers in their names (2 before 10); frames of a file by their
place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from convert.ir import BadInput
from deploy.pose.boxes import read_image

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
FPS = 15.0  # of a folder, which says nothing of time


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame. number: from 0; name: of its file, '' within a video file; image: uint8 [H, W, 3], BGR."""

    number: int
    name: str
    image: np.ndarray


class Footage(Protocol):
    """frames: how many there are, by the file's own account where it is a video; fps: frames a second;
    names: of the frames' files, empty for a video file."""

    path: Path
    frames: int
    fps: float
    names: tuple[str, ...]

    def __iter__(self) -> Iterator[Shot]:
        """All frames, from the first."""
        ...


class Folder:
    """Images of one size in a folder; other files in it are passed over."""

    def __init__(self, path: Path, fps: float = FPS) -> None:
        found = sorted(
            (p for p in path.iterdir() if p.suffix.lower() in IMAGES and p.is_file()), key=_natural
        )
        if not found:
            raise BadInput(
                f"{path}: holds no image ({', '.join(IMAGES)}); give a folder of frames or a video"
            )
        self.path, self.fps, self._files = path, fps, found
        self.frames = len(found)
        self.names = tuple(p.name for p in found)

    def __iter__(self) -> Iterator[Shot]:
        first: tuple[int, ...] | None = None
        for number, file in enumerate(self._files):
            image = read_image(file)
            if first is not None and image.shape != first:
                raise BadInput(
                    f"{file}: is {image.shape[1]}x{image.shape[0]}, the frames before are "
                    f"{first[1]}x{first[0]}; expected one size, as in a video"
                )
            first = image.shape
            yield Shot(number, file.name, image)


class File:
    """A video that OpenCV decodes."""

    def __init__(self, path: Path, fps: float | None = None) -> None:
        import cv2

        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its own lines would stand beside ours
        capture = cv2.VideoCapture(str(path))
        told, announced = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        good, _ = capture.read() if capture.isOpened() else (False, None)
        capture.release()
        if not good:
            raise BadInput(
                f"{path}: does not decode as a video; give a folder of images, or convert it to mp4"
            )
        self.path, self.names = path, ()
        self.frames = max(announced, 1)
        self.fps = fps or (told if np.isfinite(told) and told > 0 else FPS)

    def __iter__(self) -> Iterator[Shot]:
        import cv2

        capture = cv2.VideoCapture(str(self.path))
        try:
            number = 0
            while True:
                good, image = capture.read()
                if not good:
                    return
                yield Shot(number, "", image)
                number += 1
        finally:
            capture.release()


def open_footage(path: Path, fps: float | None = None) -> Footage:
    """A folder or a file; fps: what is taken for its speed, None: what it says of itself (folders: 15)."""
    if path.is_dir():
        return Folder(path, fps or FPS)
    if not path.is_file():
        raise BadInput(f"{path}: no such folder or file; give a folder of frames or a video")
    return File(path, fps)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Numbers in a name count as numbers."""
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), part) if part.isdigit() else (0, 0, part) for part in parts]
