"""The ONNX models as artifacts: interface, metadata, functions, bytes, refusals."""

import itertools
import json

import numpy as np
import onnx
import onnx.inliner
import pytest

from convert import ir, to_onnx
from convert.onnx_model.arithmetic import choose, fits_u8s8, interval
from convert.onnx_model.values import made, wide_enough


def float_graph():
    nodes = {
        "in": ir.Input((3, 4)), "mix": ir.ChannelMix(np.ones((5, 3)), np.ones(5)), "a": ir.LIF(0.5),
        "t": ir.StepConv(np.ones((5, 5, 3))), "b": ir.CubaLIF(0.5, 0.25), "d": ir.Delay(2),
        "flat": ir.Reshape((20,)), "head": ir.Affine(np.ones((2, 20))), "out": ir.LeakyIntegrator(),
    }  # fmt: skip
    names = list(nodes)
    edges = tuple(itertools.pairwise(names))
    return ir.Graph(nodes, edges, ("out", "b"), "folded", dt_s=0.001)


def integer_graph():
    nodes = {
        "in": ir.Input((3,), operand="graded"), "w": ir.Affine(np.eye(3, dtype=int), weight_exp=-1),
        "a": ir.LoihiLIF(dv=10, vth=5), "b": ir.LoihiLIF(dv=10, vth=1, du=5), "out": ir.LoihiIntegrator(),
    }  # fmt: skip
    names = list(nodes)
    return ir.Graph(nodes, tuple(itertools.pairwise(names)), ("out",), "integer")


GRAPHS = {"float": float_graph, "integer": integer_graph}
FORMS = {"step": to_onnx.step_model, "scan": to_onnx.scan_model}


def interface(values):
    kinds = {v: k for k, v in onnx.TensorProto.DataType.items()}
    return {
        v.name: (
            kinds[v.type.tensor_type.elem_type],
            [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim],
        )
        for v in values
    }


def test_step_interface():
    model = to_onnx.step_model(float_graph(), ["a"])
    assert interface(model.graph.input) == {
        "x": ("FLOAT", ["N", 3, 4]),
        "a.v": ("FLOAT", ["N", 4, 5]),
        "t.past": ("FLOAT", [2, "N", 4, 5]),
        "b.u": ("FLOAT", ["N", 4, 5]),
        "b.v": ("FLOAT", ["N", 4, 5]),
        "d.past": ("UINT8", [2, "N", 4, 5]),
        "out.v": ("FLOAT", ["N", 2]),
    }
    outputs = interface(model.graph.output)
    assert outputs["out"] == ("FLOAT", ["N", 2]) and outputs["b"] == ("UINT8", ["N", 5, 4])
    assert outputs["a.spikes"] == ("UINT8", ["N", 5, 4])
    inputs = interface(model.graph.input)
    assert {n: outputs[f"{n}_next"] for n in inputs if n != "x"} == {n: inputs[n] for n in inputs if n != "x"}


def test_scan_interface():
    model = to_onnx.scan_model(float_graph(), ["a"])
    assert interface(model.graph.input) == {"x": ("FLOAT", ["T", "N", 3, 4])}
    assert interface(model.graph.output) == {
        "out": ("FLOAT", ["N", 2]), "b": ("INT64", ["N", 5, 4]),
        "a.count": ("INT64", ["N", 5, 4]), "b.count": ("INT64", ["N", 5, 4]),
        "a.raster": ("UINT8", ["T", "N", 5, 4]),
    }  # fmt: skip
    assert list(interface(to_onnx.scan_model(float_graph(), counts=False).graph.output)) == ["out", "b"]
    integer = to_onnx.scan_model(integer_graph())
    assert interface(integer.graph.input)["x"][0] == "INT32"
    assert interface(integer.graph.output)["out"] == ("INT64", ["N", 3])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stage", GRAPHS)
def test_checker_functions_and_metadata(stage, form):
    graph = GRAPHS[stage]()
    model = FORMS[form](graph)
    onnx.checker.check_model(model, full_check=True)
    functions = {f.name: f for f in model.functions}
    wanted = {"LIF", "CubaLIF", "LeakyIntegrator"}
    if stage == "integer":
        wanted = {"LoihiLIF", "LoihiLIF_current", "LoihiIntegrator"}
    assert wanted <= set(functions)
    assert all(f.domain == "basalt.neuron" and f.node for f in functions.values())
    scans = [n for n in model.graph.node if n.op_type == "Scan"]
    assert len(scans) == (len(graph.neurons()) if form == "scan" else 0)
    # The products are hoisted: inside a Scan there is the neuron's call, and nothing else but its reading.
    assert {n.op_type for s in scans for n in s.attribute[0].g.node} <= {*functions, "Identity"}
    meta = to_onnx.read_metadata(model.SerializeToString(), "model")
    assert meta["basalt.form"] == form and meta["stage"] == graph.stage
    assert meta["dt_s"] == ("0.001" if stage == "float" else "")
    assert "strict" in meta["comparison"] and "zero" in meta["reset"]
    assert "spike -> reset" in meta["tick_order"]
    assert set(meta["graph_outputs"]) == set(graph.outputs)
    assert list(meta["node_shapes"]) == list(graph.nodes)
    names = {s["input"] for s in meta["states"]}
    assert names == ({i.name for i in model.graph.input} - {"x"} if form == "step" else set())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stage", GRAPHS)
def test_same_graph_same_bytes(tmp_path, stage, form):
    for name in ("one.onnx", "two.onnx"):
        to_onnx.write(tmp_path / name, FORMS[form](GRAPHS[stage]()))
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_write_is_whole_or_not_at_all(tmp_path):
    with pytest.raises(AttributeError):
        to_onnx.write(tmp_path / "m.onnx", None)
    assert not list(tmp_path.iterdir())


def test_functions_inline_to_plain_operators():
    """A runtime without functions can still run the model."""
    flat = onnx.inliner.inline_local_functions(to_onnx.scan_model(integer_graph()))
    onnx.checker.check_model(flat, full_check=True)
    assert not flat.functions


def test_batch_norm_is_refused():
    nodes = {"in": ir.Input((2,)), "bn": ir.BatchNorm(*np.ones((4, 2))), "a": ir.LIF(0.5)}
    graph = ir.Graph(nodes, (("in", "bn"), ("bn", "a")), ("a",), "traced")
    with pytest.raises(ir.Unsupported, match=r"bn: batch norm .* fold"):
        to_onnx.scan_model(graph)


def test_unknown_probe_and_clashing_name_are_refused():
    with pytest.raises(ir.BadInput, match="mix: cannot be probed"):
        to_onnx.scan_model(float_graph(), ["mix"])
    graph = ir.Graph({"in": ir.Input((2,)), "x": ir.LIF(0.5)}, (("in", "x"),), ("x",), "folded")
    with pytest.raises(ir.Unsupported, match="x: two tensors"):
        to_onnx.step_model(graph)


FOREIGN = onnx.ModelProto(producer_name="other").SerializeToString()


@pytest.mark.parametrize("content", [b"", b"not a model", FOREIGN])
def test_foreign_bytes_are_refused(content):
    with pytest.raises(ir.ArtifactError, match=r"m\.onnx: .*convert"):
        to_onnx.read_metadata(content, "m.onnx")


def test_number_types_follow_the_proof():
    spikes, graded = made("s", (9,), "first", "bool", 0, 1), made("g", (9,), "first", "int32", -127, 127)
    weight = np.full((2, 9), 127)
    assert choose("n", "folded", spikes, weight, 0) == "float32"
    assert choose("n", "integer", spikes, weight, 9 * 127) == "u8s8"
    assert choose("n", "integer", graded, weight, 9 * 127 * 127) == "float32"
    assert choose("n", "integer", graded, weight, 2**24 + 1) == "float64"
    assert choose("n", "integer", spikes, weight * 2, 9 * 254) == "float32"  # no int8 weight
    # 2 x 129 x 127 is the first pair that saturates 16 bits
    assert fits_u8s8(made("p", (9,), "first", "uint8", 0, 129), weight)
    assert not fits_u8s8(made("p", (9,), "first", "uint8", 0, 130), weight)
    assert interval(spikes, np.array([[3, -5, 7], [-1, -1, -1]]), (1,)) == (-5, 10)
    with pytest.raises(ir.Unsupported, match="n: its sums may reach"):
        wide_enough("n", 2**53 + 1, "float32", "float64")


def test_step_proto_is_json_clean():
    meta = {p.key: p.value for p in to_onnx.step_model(float_graph()).metadata_props}
    assert {s["input"]: s["shape"] for s in json.loads(meta["states"])}["t.past"] == [2, "N", 4, 5]
