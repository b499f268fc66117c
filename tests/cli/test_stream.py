"""`simulate --stream`: samples and frames from outside, states, checks, and what it refuses."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stdin(monkeypatch):
    """Make this text the standard input."""
    return lambda text: monkeypatch.setattr(
        "sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode() if isinstance(text, str) else text))
    )


def lines(frames):
    return "".join(json.dumps(f.tolist()) + "\n" for f in frames)


@pytest.fixture
def shape(lava_artifact):
    from convert.artifact import open_artifact

    graph = open_artifact(lava_artifact).graph("integer")
    return graph.nodes[graph.input()].shape


@pytest.mark.parametrize(
    ("target", "form"), [("onnx", "float"), ("onnx", "integer"), ("loihi-sim", "integer")]
)
def test_samples_one_frame_at_a_time(run, onnx_artifact, tmp_path, target, form):
    """The same answers as the whole-window run, checked; latencies in words and in JSON."""
    path, whole = tmp_path / "s.json", tmp_path / "w.json"
    common = ("simulate", onnx_artifact, "--target", target, "--form", form, "--limit", "6")
    got = run(*common, "--stream", "--check", "--show", "2", "--json", path)
    assert got.code == 0, got.err
    assert re.search(r"first [\d.]+ ms; then p50 [\d.]+, p95 [\d.]+, p99 [\d.]+, max [\d.]+ ms", got.out)
    assert re.search(r"check: [56] of 6 rows", got.out)
    assert got.out.count("  frame    0  class ") == 2
    found = json.loads(path.read_text())
    assert found["check"]["spikes"] > 500 and found["check"]["windows"] == 8 + 5
    assert found["latency"]["frames"] == 6 * 8
    assert found["latency"]["p50_ms"] <= found["latency"]["p99_ms"] <= found["latency"]["max_ms"]
    assert found["latency_steps"] == (0 if target == "onnx" else 6)
    assert run(*common, "--json", whole).code == 0
    if form == "integer":
        assert found["predictions"] == json.loads(whole.read_text())["predictions"]


@pytest.mark.parametrize("target", ["onnx", "loihi-sim"])
def test_frames_through_the_door_and_a_state_between(run, stdin, onnx_artifact, tmp_path, shape, target):
    """All frames at once, from .npy; and cut in two, from stdin, with a state between: the same outputs."""
    x = np.random.default_rng(0).normal(size=(7, *shape))
    np.save(tmp_path / "x.npy", x)
    base = ("simulate", onnx_artifact, "--target", target, "--form", "integer", "--stream", "--frames")
    got = run(*base, tmp_path / "x.npy", "--check")
    assert got.code == 0, got.err
    assert "check: 1 of 1 rows equal" in got.err and "frames/s" in got.err
    whole = [json.loads(line) for line in got.out.splitlines()]
    assert [r["frame"] for r in whole] == list(range(7))
    assert {"frame", "top", "class", "score", "outputs", "ms"} == set(whole[0])
    state = tmp_path / "state.npz"
    stdin(lines(x[:3]))
    first = run(*base, "-", "--state-out", state)
    (tmp_path / "x.jsonl").write_text(lines(x[3:]))
    second = run(*base, tmp_path / "x.jsonl", "--state-in", state)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    parts = [json.loads(line) for line in (first.out + second.out).splitlines()]
    for a, b in zip(whole, parts, strict=True):
        assert all(a[k] == b[k] for k in ("frame", "top", "class", "score", "outputs"))
    assert len({json.dumps(r["outputs"]) for r in whole}) > 3


def test_bad_frames_are_one_line(run, stdin, onnx_artifact, tmp_path, shape, refused):
    base = ("simulate", onnx_artifact, "--target", "onnx", "--stream", "--frames")
    good = np.zeros(shape)
    short = np.zeros((shape[0], shape[1] - 1))
    nan = good.copy()
    nan[0, 0] = np.nan
    state = tmp_path / "s.npz"
    for text, where in (
        (lines([good, short]), "line 2"),
        (lines([nan]), "NaN"),
        (lines([good])[:-20], "line 1"),
        ("{}\n", "dict"),
        ("[[1, 2], [3]]\n", "line 1"),
        ('[["a"]]\n', "line 1"),
        ("[" * 100000, "line 1"),
        (b"\xff\xfe\n", "line 1"),
        ("", "no frame"),
        ("\n\n", "no frame"),
    ):
        stdin(text)
        refused(run(*base, "-", "--state-out", state), 3, "stdin", where)
        assert not state.exists()
    (tmp_path / "x.jsonl").write_text("[[1, 2], [3]]\n")
    refused(
        run(*base, tmp_path / "x.jsonl"),
        3,
        "x.jsonl, line 1: lists of different lengths",
        "expected the shape",
    )
    np.save(tmp_path / "x.npy", short[None])
    refused(run(*base, tmp_path / "x.npy"), 3, "x.npy, frame 0", "expected")
    np.save(tmp_path / "x.npy", good)
    refused(run(*base, tmp_path / "x.npy"), 3, "x.npy", "expected (frames, ")
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY junk")
    refused(run(*base, tmp_path / "x.npy"), 3, "x.npy")
    refused(run(*base, tmp_path / "none.jsonl"), 3, "none.jsonl")


def test_states_of_another_model_or_target(run, onnx_artifact, tmp_path, refused):
    state = tmp_path / "s.npz"
    base = ("simulate", onnx_artifact, "--stream", "--limit", "1", "--target")
    assert run(*base, "onnx", "--state-out", state).code == 0
    refused(run(*base, "onnx", "--form", "integer", "--state-in", state), 3, "s.npz", "another model")
    refused(run(*base, "loihi-sim", "--state-in", state), 3, "s.npz", "another target")
    refused(run(*base, "onnx", "--state-in", tmp_path / "none.npz"), 3, "none.npz")
    state.write_bytes(state.read_bytes()[:-50])
    refused(run(*base, "onnx", "--state-in", state), 3, "s.npz", "not a readable state")


def test_a_stream_that_differs_fails_with_5(run, lava_artifact, monkeypatch, refused):
    from deploy.loihi_stream import LoihiStream

    advance = LoihiStream._advance

    def wrong(self, encoded):
        got = advance(self, encoded)
        return {n: v + (self.frames == 5) for n, v in got.items()}

    monkeypatch.setattr(LoihiStream, "_advance", wrong)
    got = run("simulate", lava_artifact, "--target", "loihi-sim", "--stream", "--limit", "3", "--check")
    refused(got, 5, "differs from the whole-window run in 1 of 3 rows")


@pytest.mark.parametrize("target", ["reference", "lava"])
def test_targets_that_do_not_stream_say_so(run, lava_artifact, target, refused):
    got = run("simulate", lava_artifact, "--target", target, "--stream", "--limit", "1")
    refused(got, 4, target, "whole windows", "onnx or loihi-sim")


def test_a_model_in_two_parts_does_not_stream(run, lava_artifact, monkeypatch, refused):
    """What a chip cannot hold waits for the whole window: the chip's part alone would not be the model."""
    from types import SimpleNamespace

    from verbs import streaming

    load = streaming.load
    monkeypatch.setattr(streaming, "load", lambda *a: SimpleNamespace(**{**vars(load(*a)), "host": object()}))
    got = run("simulate", lava_artifact, "--target", "loihi-sim", "--stream", "--limit", "1")
    refused(got, 4, "loihi-sim", "whole windows", "without --stream")


def test_options_that_make_no_sense_together(run, lava_artifact):
    base = ("simulate", lava_artifact, "--target", "loihi-sim")
    for extra in (["--check"], ["--show", "1"], ["--frames", "-"], ["--state-in", "s"], ["--state-out", "s"]):
        assert run(*base, *extra).code == 2
    assert run(*base, "--stream", "--frames", "-", "--limit", "3").code == 2
    assert run(*base, "--stream", "--check", "--state-in", "s.npz").code == 2


def test_targets_say_which_can_stream(run, tmp_path):
    assert run("targets", "--json", tmp_path / "t.json").code == 0
    found = {t["name"]: t["streams"] for t in json.loads((tmp_path / "t.json").read_text())}
    assert found["onnx"] == found["loihi-sim"] == "yes" and found["lava"] == found["reference"] == "-"


def test_the_example_of_the_page_runs(onnx_artifact, tmp_path, monkeypatch):
    """The Python block of docs/streaming.md, on the artifact of the tests instead of out/demo/onnx."""
    block = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "streaming.md").read_text(), re.S)[0]
    assert block.count("\n") <= 14 and "out/demo/onnx" in block
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out" / "demo").mkdir(parents=True)
    (tmp_path / "out" / "demo" / "onnx").symlink_to(onnx_artifact)
    names: dict[str, object] = {}
    exec(compile(block, "docs/streaming.md", "exec"), names)
    np.testing.assert_array_equal(names["again"], names["scores"])
    assert np.any(names["scores"]) and (tmp_path / "state.npz").is_file()
