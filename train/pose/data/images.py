"""Images, read when they are needed: a file, pixels, or whatever draws itself.

Only the image at work is in memory. RGB throughout; grey images become RGB, an alpha channel is dropped, and
the orientation tag of a photograph is ignored, as annotations count in the pixels of the file. So does
`deploy.pose.boxes.read_image`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError


@runtime_checkable
class Drawn(Protocol):
    """An image that is made when it is asked for."""

    def pixels(self) -> NDArray[np.uint8]:
        """[H, W, 3] RGB."""


Image = Path | NDArray[np.uint8] | Drawn
_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def read(image: Image) -> NDArray[np.uint8]:
    """[H, W, 3] uint8, RGB; a DataError that names the file where it is missing or does not decode."""
    if isinstance(image, Path):
        return _decoded(image)
    pixels = image if isinstance(image, np.ndarray) else image.pixels()
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DataError(
            f"image: found {pixels.dtype} {list(pixels.shape)}; expected uint8 [H, W, 3]; convert it to RGB"
        )
    return pixels


def _decoded(path: Path) -> NDArray[np.uint8]:
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError.of(
            path, found=f"no readable file ({error.strerror})", expected="an image", do="restore it"
        ) from error
    try:  # an empty buffer raises; broken bytes give None
        found = cv2.imdecode(content, _FLAGS)
    except cv2.error:
        found = None
    if found is None:
        raise DataError.of(
            path, found=f"{len(content)} bytes that do not decode", expected="a JPEG, PNG or other image",
            do="restore it, or leave such images out with --data-option check=true",
        )  # fmt: skip
    return cv2.cvtColor(found, cv2.COLOR_BGR2RGB)


def leaves(name: str) -> bool:
    """Whether a file name of annotations points out of the folder that it is looked for in."""
    return Path(name).is_absolute() or ".." in Path(name).parts


def located(name: str, folders: Iterable[Path]) -> Path | None:
    """The file of that name in the first of the folders that has one."""
    # Not Path.is_file, which raises where a name is longer than names can be.
    return next((folder / name for folder in folders if os.path.isfile(folder / name)), None)


def same(one: Image, other: Image | None) -> bool:
    """Whether both are one image: the same file, or the same object."""
    return one is other or (isinstance(one, Path) and one == other)


def decodes(path: Path) -> bool:
    """Whether the file is there and decodes."""
    try:
        _decoded(path)
    except DataError:
        return False
    return True


def size(path: Path) -> tuple[int, int]:
    """(width, height) of an image file."""
    height, width = read(path).shape[:2]
    return width, height
