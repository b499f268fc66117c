"""States of streams as files, what a stream refuses, and that ONNX states stay where they are."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from convert import ir, to_onnx
from convert.passes.lower import lower
from deploy.onnx_stream import Stepper
from deploy.stream import open_stream
from deploy.stream_state import ABOUT, fingerprint, load_state, save_state

TARGETS = ("onnx", "loihi-sim")


def graph_with(vth=50, weight=5):
    """graded input [3] -> LIF -> 2 readouts, with a delay of two steps."""
    nodes = {
        "in": ir.Input((3,), operand="graded", scale=0.1), "w": ir.Affine(np.eye(3, dtype=np.int8) * weight),
        "a": ir.LoihiLIF(dv=10, vth=vth), "late": ir.Delay(2),
        "w2": ir.Affine(np.arange(6, dtype=np.int8).reshape(2, 3)), "out": ir.LoihiIntegrator(),
    }  # fmt: skip
    return ir.Graph(nodes, tuple(itertools.pairwise(nodes)), ("out",), "integer")


def opened(name, graph=None, samples=1):
    graph = graph or graph_with()
    return open_stream(name, graph if name == "onnx" else lower(graph), samples)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(12, 3)) * 4


@pytest.mark.parametrize("name", TARGETS)
def test_a_state_file_goes_on_where_it_was_written(name, x, tmp_path):
    one, two = opened(name), opened(name)
    for frame in x[:5]:
        one.frame(frame)
    save_state(tmp_path / "s.npz", one)
    first = (tmp_path / "s.npz").read_bytes()
    save_state(tmp_path / "s.npz", one)
    assert (tmp_path / "s.npz").read_bytes() == first  # the same state, the same bytes
    load_state(tmp_path / "s.npz", two)
    assert two.frames == 5
    want = [one.frame(frame)["out"] for frame in x[5:]]
    got = [two.frame(frame)["out"] for frame in x[5:]]
    np.testing.assert_array_equal(got, want)
    assert np.abs(want[-1]).min() > 0  # not vacuous
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]


@pytest.mark.parametrize("name", TARGETS)
def test_foreign_and_damaged_states_are_refused(name, x, tmp_path):
    """One line, exit code 3, and the stream is as it was."""
    stream, path = opened(name), tmp_path / "s.npz"
    stream.frame(x[0])
    before = stream.state()
    other = next(t for t in TARGETS if t != name)
    for writer, why in (
        (opened(other), "another target"),
        (opened(name, graph_with(vth=51)), "another model"),
        (opened(name, graph_with(weight=6)), "another model"),
        (opened(name, samples=2), "another number of streams"),
    ):
        save_state(path, writer)
        with pytest.raises(ir.ArtifactError, match=rf"s\.npz: state of {why}") as error:
            load_state(path, stream)
        assert error.value.exit_code == 3 and "\n" not in str(error.value)
    save_state(path, stream)
    good = path.read_bytes()
    for damaged in (b"", b"junk", good[: len(good) // 2], good[:-10]):
        path.write_bytes(damaged)
        with pytest.raises(ir.ArtifactError, match=r"s\.npz: not a readable state"):
            load_state(path, stream)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ir.ArtifactError, match="not a readable state"):
        load_state(path, stream)
    with pytest.raises(ir.ArtifactError, match="no such file"):
        load_state(tmp_path / "none.npz", stream)
    after = stream.state()
    assert all(np.array_equal(before[k], after[k]) for k in before)


def test_a_state_edited_by_hand_is_refused(x, tmp_path):
    stream, path = opened("loihi-sim"), tmp_path / "s.npz"
    stream.frame(x[0])
    save_state(path, stream)
    with np.load(path) as file:
        arrays = dict(file)
    arrays["a.v"] = arrays["a.v"] + 1
    np.savez(path, **arrays)
    with pytest.raises(ir.ArtifactError, match="changed after it was written"):
        load_state(path, stream)
    about = json.loads(arrays[ABOUT].tobytes())
    about["version"] = 2
    np.savez(path, **{**arrays, ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8)})
    with pytest.raises(ir.ArtifactError, match="version 2, expected 'basalt-stream-state' version 1"):
        load_state(path, stream)


def test_states_of_a_wrong_shape_or_name_are_refused(x):
    stream = opened("loihi-sim")
    stream.frame(x[0])
    state = stream.state()
    for change, why in (
        ({"a.v": state["a.v"][:, :2]}, "state of a.v is"),
        ({"a.v": state["a.v"].astype(np.float32)}, "state of a.v is float32"),
        ({"more": state["a.v"]}, "holds more"),
        ({"frames": np.array(-1)}, "-1 frames"),
    ):
        with pytest.raises(ir.ArtifactError, match=why):
            stream.restore({**state, **change})
    with pytest.raises(ir.ArtifactError, match=r"lacks a\.v"):
        stream.restore({k: v for k, v in state.items() if k != "a.v"})


def test_the_fingerprint_is_the_models(tmp_path):
    """The same through a file; another for any other number."""
    graph = graph_with()
    ir.save_graph(tmp_path / "g.npz", graph)
    ir.save_program(tmp_path / "p.npz", lower(graph))
    assert fingerprint(ir.load_graph(tmp_path / "g.npz")) == fingerprint(graph)
    assert fingerprint(ir.load_program(tmp_path / "p.npz")) == fingerprint(lower(graph))
    assert len({fingerprint(g) for g in (graph, graph_with(vth=51), graph_with(weight=6), lower(graph))}) == 4


def test_a_written_step_model_and_its_graph_share_states(x, tmp_path):
    graph, path = graph_with(), tmp_path / "step.onnx"
    to_onnx.write(path, to_onnx.step_model(graph))
    assert Stepper.from_file(path, graph=graph).fingerprint == Stepper.of(graph).fingerprint
    alone = Stepper.from_file(path)
    with pytest.raises(ir.ArtifactError, match="another model"):
        save_state(tmp_path / "s.npz", Stepper.of(graph))
        load_state(tmp_path / "s.npz", alone)


def test_onnx_states_stay_in_place_and_outputs_are_copies(x):
    """Two sets of arrays in turn, never others; what a frame gave does not change with the next one."""
    stepper = Stepper.of(graph_with())
    places, given = set(), []
    for frame in x:
        places.add(tuple(a.__array_interface__["data"][0] for a in stepper._held().values()))
        given.append(stepper.frame(frame)["out"])
    assert len(places) == 2
    again = Stepper.of(graph_with())
    np.testing.assert_array_equal(given, [again.frame(frame)["out"] for frame in x])
    assert len({g.tobytes() for g in given}) > 2


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (np.zeros(4), r"frame has shape \(4,\), expected \(3\)"),
        (np.zeros((1, 3)), "frame has shape"),
        (np.array([0.0, np.nan, 0.0]), "NaN or infinity"),
        (np.array([0.0, np.inf, 0.0]), "NaN or infinity"),
        (np.array(["a", "b", "c"]), "expected numbers"),
        (np.array([None, 1, 2]), "expected numbers"),
    ],
)
def test_bad_frames_change_nothing(name, x, frame, why):
    stream = opened(name)
    stream.frame(x[0])
    with pytest.raises(ir.BadInput, match=why):
        stream.frame(frame)
    assert stream.frames == 1
    fresh = opened(name)
    fresh.frame(x[0])
    np.testing.assert_array_equal(stream.frame(x[1])["out"], fresh.frame(x[1])["out"])


@pytest.mark.parametrize("name", TARGETS)
def test_several_streams_are_independent(name, x):
    both, one = opened(name, samples=2), opened(name)
    for frame in x:
        got, alone = both(np.stack([frame, np.zeros(3)])), one.frame(frame)
        np.testing.assert_array_equal(got["out"][0], alone["out"])
    assert alone["out"].any() and not got["out"][1].any()
    with pytest.raises(ir.BadInput, match="this one holds 2"):
        both.frame(x[0])
    with pytest.raises(ir.BadInput, match="frame holds 3 samples, the stream's state 2"):
        both(np.zeros((3, 3)))
    with pytest.raises(ir.BadInput, match="samples = 0"):
        opened(name, samples=0)
