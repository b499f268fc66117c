"""`draw-people`: files, and one line for what makes no sense."""

import json
from pathlib import Path

import pytest


def test_stills_and_videos(run, tmp_path):
    done = run(
        "draw-people",
        "--out",
        tmp_path / "a",
        "--stills",
        3,
        "--size",
        "96x72",
        "--json",
        tmp_path / "s.json",
    )
    assert done.code == 0, done.err
    (file,) = json.loads((tmp_path / "s.json").read_text())["annotations"]
    assert len(json.loads(Path(file).read_text())["images"]) == 3
    done = run("draw-people", "--out", tmp_path / "b", "--videos", 2, "--frames", 3, "--size", "96x72")
    assert done.code == 0, done.err
    assert (
        len(list((tmp_path / "b").rglob("*.jpg"))) == 6 and len(list((tmp_path / "b").rglob("*.json"))) == 2
    )
    again = run("draw-people", "--out", tmp_path / "a", "--stills", 3, "--size", "96x72")
    assert again.code == 3 and len(again.error_lines) == 1 and "choose another folder" in again.err


@pytest.mark.parametrize(
    "args",
    [
        [], ["--stills", 1, "--videos", 1], ["--stills", 0], ["--stills", 1, "--size", "big"],
        ["--stills", 1, "--size", "8x8"], ["--videos", 1, "--frames", 1], ["--stills", 1, "--split", "../x"],
    ],
)  # fmt: skip
def test_a_wrong_command_line(run, tmp_path, args):
    done = run("draw-people", "--out", tmp_path / "a", *args)
    assert done.code == 2 and "Traceback" not in done.err and not (tmp_path / "a").exists()
