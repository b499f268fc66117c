"""The ONNX Runtime target: runner, stepper, files, slices, errors."""

import itertools

import numpy as np
import pytest

from convert import ir, to_onnx
from deploy import cpu_onnx
from deploy.cpu_onnx import OnnxCpu, Stepper
from deploy.target import target


@pytest.fixture
def graph():
    nodes = {
        "in": ir.Input((3,), operand="graded", scale=0.1), "w": ir.Affine(np.eye(3, dtype=int) * 5),
        "a": ir.LoihiLIF(dv=10, vth=50), "w2": ir.Affine(np.arange(6).reshape(2, 3)),
        "out": ir.LoihiIntegrator(),
    }  # fmt: skip
    names = list(nodes)
    return ir.Graph(nodes, tuple(itertools.pairwise(names)), ("out",), "integer")


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(20, 6, 3))


def same(a, b):
    for field in ("outputs", "counts", "rasters"):
        assert getattr(a, field).keys() == getattr(b, field).keys()
        for name, value in getattr(a, field).items():
            np.testing.assert_array_equal(value, getattr(b, field)[name], err_msg=f"{field} {name}")


def test_record(graph, x):
    record = target("onnx").compile(graph).run(x, ["in", "a"])
    assert record.steps == 20 and record.samples == 6 and record.wall_s > 0
    assert record.counts["a"].dtype == np.int64 and record.counts["a"].sum() > 10
    assert record.rasters["a"].dtype == np.uint8 and record.rasters["in"].dtype == np.int64
    np.testing.assert_array_equal(record.rasters["a"].sum(0), record.counts["a"])
    np.testing.assert_array_equal(record.rasters["in"], graph.nodes["in"].encode(x))


def test_slices_give_the_same_as_one_run(graph, x, monkeypatch):
    whole = OnnxCpu(1).compile(graph).run(x, ["in", "a"])
    monkeypatch.setattr(cpu_onnx, "SLICE_BYTES", 2 * 8 * sum(map(np.prod, graph.shapes.values())) * len(x))
    calls = []
    run = cpu_onnx.Session.run
    spy = lambda s, feed: calls.append(feed["x"].shape[1]) or run(s, feed)  # noqa: E731
    monkeypatch.setattr(cpu_onnx.Session, "run", spy)
    same(OnnxCpu(1).compile(graph).run(x, ["in", "a"]), whole)
    assert calls == [2, 2, 2]


def test_probe_models_are_built_once(graph, x, monkeypatch):
    runner = OnnxCpu(1).compile(graph)
    built = []
    model = to_onnx.scan_model
    monkeypatch.setattr(cpu_onnx, "scan_model", lambda *a, **k: built.append(a[1]) or model(*a, **k))
    for _ in range(2):
        runner.run(x)
        runner.run(x, ["a"])
        runner.run(x, ["in"])
    assert built == [["a"]]


def test_written_models(graph, x, tmp_path):
    want = OnnxCpu(1).compile(graph).run(x, ["a"])
    to_onnx.write(tmp_path / "scan.onnx", to_onnx.scan_model(graph, ["a"]))
    to_onnx.write(tmp_path / "step.onnx", to_onnx.step_model(graph))
    runner = OnnxCpu(1).from_file(tmp_path / "scan.onnx")
    same(runner.run(x, ["a"]), want)
    same(runner.run(x), OnnxCpu(1).compile(graph).run(x))
    stepper = Stepper.from_file(tmp_path / "step.onnx", samples=6)
    for frame in x:
        last = stepper(frame)
    np.testing.assert_array_equal(last["out"], want.outputs["out"])
    with pytest.raises(ir.BadInput, match="has no raster of nope; written with: a"):
        runner.run(x, ["nope"])
    with pytest.raises(ir.BadInput, match="is a step model, expected a scan model"):
        OnnxCpu().from_file(tmp_path / "step.onnx")
    with pytest.raises(ir.BadInput, match="is a scan model, expected a step model"):
        Stepper.from_file(tmp_path / "scan.onnx")


def test_stepper_resets(graph, x):
    stepper = Stepper.of(graph, samples=6, probes=["a"])
    first = [stepper(f)["a.spikes"] for f in x]
    assert np.any(first) and any(s.any() for s in stepper.state().values())
    carried = stepper(x[0])["out"]
    stepper.reset()
    again = [stepper(f)["a.spikes"] for f in x]
    np.testing.assert_array_equal(first, again)
    stepper.reset()
    assert (stepper(x[0])["out"] != carried).any()
    with pytest.raises(ir.BadInput, match="frame holds 2 samples, the stream's state 6"):
        stepper(x[0][:2])


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_broken_files(graph, tmp_path, content):
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ir.BadInput, match=r"m\.onnx: .*convert") as error:
        OnnxCpu().from_file(path)
    assert "\n" not in str(error.value)


def test_truncated_file(graph, tmp_path):
    path = tmp_path / "m.onnx"
    to_onnx.write(path, to_onnx.scan_model(graph))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ir.BasaltError, match=r"m\.onnx"):
        OnnxCpu().from_file(path)


def test_model_edited_by_hand_is_one_line(graph, tmp_path):
    model = to_onnx.scan_model(graph)
    model.graph.node[-1].input[0] = "nowhere"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ir.Unsupported, match=r"m\.onnx: ONNX Runtime does not load it") as error:
        OnnxCpu().from_file(tmp_path / "m.onnx")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(20, 6, 4), (20, 3), (0, 6, 3), (20, 0, 3)])
def test_wrong_input(graph, shape):
    with pytest.raises(ir.BadInput, match="input has shape"):
        OnnxCpu(1).compile(graph).run(np.ones(shape))


def test_binary_input_must_be_binary():
    nodes = {"in": ir.Input((1,), operand="binary"), "a": ir.LoihiLIF(dv=0, vth=1)}
    graph = ir.Graph(nodes, (("in", "a"),), ("a",), "integer")
    runner = OnnxCpu(1).compile(graph)
    assert runner.run(np.ones((5, 1, 1))).counts["a"].item() == 2
    with pytest.raises(ir.BadInput, match="binary input holds 2"):
        runner.run(np.full((5, 1, 1), 2))


def test_unknown_raster(graph, x):
    with pytest.raises(ir.BadInput, match="w: cannot be probed"):
        OnnxCpu(1).compile(graph).run(x, ["w"])


def test_supports(graph):
    assert OnnxCpu().supports(graph) == []
    assert OnnxCpu.takes == ("float", "integer")
