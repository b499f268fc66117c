"""Rendered frames to files: an mp4 where OpenCV has an encoder, else a PNG a frame; and a strip of some."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from convert.ir import BadInput
from deploy.pose.drawing import strip

CODECS = ("avc1", "mp4v")  # H.264 where the build has it, else MPEG-4
STRIP = 6  # frames of the strip
FORMS = ("auto", "mp4", "png", "none")


class Film:
    """Writes frames as they come into `folder`. form: mp4, png, none, or auto: mp4 if it can be encoded."""

    def __init__(
        self, folder: Path, size: tuple[int, int], fps: float, frames: int, form: str = "auto"
    ) -> None:
        self._folder, self._number = folder, 0
        self._writer: Any = _writer(folder / "video.mp4", size, fps) if form in ("auto", "mp4") else None
        if form == "mp4" and self._writer is None:
            raise BadInput("--render mp4: this OpenCV has no encoder for it; use --render png")
        self.form = "mp4" if self._writer is not None else "none" if form == "none" else "png"
        self._wanted = set(np.linspace(0, max(frames - 1, 0), STRIP).round().astype(int).tolist())
        self._kept: list[np.ndarray] = []
        if self.form == "png":
            (folder / "frames").mkdir()

    def add(self, frame: np.ndarray) -> None:
        """The next frame, uint8 [H, W, 3], BGR."""
        if self._writer is not None:
            self._writer.write(frame)
        elif self.form == "png":
            _write(self._folder / "frames" / f"{self._number:06d}.png", frame)
        if self._number in self._wanted:
            self._kept.append(cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        self._number += 1

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        if error is None and self._kept:
            _write(self._folder / "strip.png", strip(self._kept))


def _writer(path: Path, size: tuple[int, int], fps: float) -> Any:
    """A writer that works, or None."""
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # a codec that is not there is no news
    try:
        for codec in CODECS:
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, size)
            if writer.isOpened():
                return writer
            path.unlink(missing_ok=True)
    finally:
        logging.setLogLevel(before)
    return None


def _write(path: Path, picture: np.ndarray) -> None:
    good, content = cv2.imencode(".png", picture)
    if not good:
        raise BadInput(f"{path}: OpenCV could not encode a picture of {picture.shape[1]}x{picture.shape[0]}")
    path.write_bytes(content.tobytes())
