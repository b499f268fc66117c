"""`draw-people`: synthetic people as files, in COCO's and PoseTrack18's form."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click

from verbs.options import json_option
from verbs.output import bar, say, write_json


def _size(_: click.Context, __: click.Parameter, value: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(32 <= n <= 4096 for n in size):
        raise click.BadParameter(f"{value!r}; expected WIDTHxHEIGHT, 32 to 4096 each, like 320x240")
    return size


@click.command(short_help="Pictures and videos of synthetic people.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR",
              help="Folder of images and annotations.")  # fmt: skip
@click.option(
    "--stills",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="So many single pictures, in COCO's form; or --videos.",
)
@click.option(
    "--videos", type=click.IntRange(min=1, max=999999), default=None, metavar="N",
    help="So many videos with identities, in PoseTrack18's form; or --stills.",
)  # fmt: skip
@click.option(
    "--frames", type=click.IntRange(2, 10000), default=60, show_default=True, help="Frames of a video."
)
@click.option("--size", callback=_size, default="320x240", show_default=True, metavar="WxH",
              help="Pixels of an image, 32 to 4096 each way.")  # fmt: skip
@click.option(
    "--split", default="val", show_default=True, metavar="NAME", help="Name of the folder of images."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of what is drawn.")
@json_option
def draw_people(
    out: Path,
    stills: int | None,
    videos: int | None,
    frames: int,
    size: tuple[int, int],
    split: str,
    seed: int,
    json_path: Path | None,
) -> None:
    """Draw people whose joints are known, and write them as images with annotations.

    \b
    python cli.py draw-people --out out/people --stills 200
    python cli.py draw-people --out out/videos --videos 4 --frames 90

    The same seed draws the same people. Images are written one at a time; each file of annotations comes
    last, whole: a folder without it is unfinished. What is drawn, and what counts as hidden: docs/pose.md.

    \b
    Exit codes: 0 done, 2 usage, 3 a file is there already, 130 interrupted.
    """
    if (stills is None) == (videos is None):
        raise click.UsageError("give either --stills N or --videos N")
    if not re.fullmatch(r"[\w-]+", split):
        raise click.BadParameter(f"{split!r}; expected letters, digits, - and _", param_hint="--split")
    with bar(stills or (videos or 0) * frames, "drawing") as drawn:

        def done() -> None:
            drawn.update(1)

        files = _stills(out, split, stills, size, seed, done) if stills else []
        files += _videos(out, split, videos, frames, size, seed, done) if videos else []
    say("\n".join(str(file) for file in files))
    write_json(json_path, {"annotations": [str(file) for file in files], "seed": seed, "size": list(size)})


def _stills(
    out: Path, split: str, count: int, size: tuple[int, int], seed: int, done: Callable[[], None]
) -> list[Path]:
    from train.pose.people.export import write_coco
    from train.pose.people.still import still

    return [write_coco(out, split, (still(seed, i, size) for i in range(count)), seed, done)]


def _videos(
    out: Path, split: str, count: int, frames: int, size: tuple[int, int], seed: int, done: Callable[[], None]
) -> list[Path]:
    from train.pose.people.export import write_posetrack18
    from train.pose.people.video import video

    return [write_posetrack18(out, split, n, video(seed, n, frames, size), done) for n in range(count)]
