"""`energy-report` of a pose network's ONNX artifact, float and 8 bits: images counted, priced, refused."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from cli import VERBS
from convert.artifact import open_artifact
from convert.ir import ArtifactError, BadInput
from convert.pose_int8 import eight_bit_graph
from deploy.pose.network import PoseNetwork
from deploy.pose.runner import PoseRunner
from energy.chunk import Chunk
from energy.costs import cost_table
from verbs.counting import counted
from verbs.group import Verbs, root
from verbs.pose_feed import counted_feed
from verbs.running import pose_graph

TABLE = ("--cost-table", "horowitz45-int8")
SCHEMAS = Path(__file__).parents[2] / "energy" / "schema"
PEOPLE = 3


def cli(*args) -> int:
    return Verbs.run(root(VERBS), [str(a) for a in args])


@pytest.fixture(scope="module")
def artifacts(sdnn_run, tmp_path_factory):
    """form -> artifact of one run; an epoch of twelve pictures finds nobody, what 8 bits cost is chance."""
    folder, made = tmp_path_factory.mktemp("onnx"), {}
    for form in ("float", "int8"):
        more = ("--int8-loss", 100) if form == "int8" else ()
        args = ("convert", sdnn_run, "--to", "onnx", "--form", form, "--out", folder / form, *more)
        assert cli(*args) == 0
        made[form] = open_artifact(folder / form)
    return made


@pytest.fixture(scope="module")
def reports(artifacts, tmp_path_factory):
    """form -> (summary, rows of samples.jsonl, folder)."""
    folder, made = tmp_path_factory.mktemp("reports"), {}
    for form, artifact in artifacts.items():
        out, told = folder / form, folder / f"{form}.json"
        args = ("energy-report", artifact.path, *TABLE, "--limit", PEOPLE, "--threads", 1, "--out", out)
        assert cli(*args, "--json", told) == 0
        rows = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
        made[form] = (json.loads(told.read_text()), rows, out)
    return made


def images(artifact):
    return counted_feed(artifact, None, None, "test", PEOPLE, None).batch(0, PEOPLE)[1]


def test_files_and_their_schemas(reports):
    for form, (summary, rows, out) in reports.items():
        jsonschema.validate(summary, json.loads((SCHEMAS / "summary-2.json").read_text()))
        for row in rows:
            jsonschema.validate(row, json.loads((SCHEMAS / "samples-3.json").read_text()))
        assert {f.name for f in out.iterdir()} == {
            "report.html", "summary.json", "samples.jsonl", "samples.parquet",
        }  # fmt: skip
        head = summary["header"]
        assert head["form"] == form and head["target"] == "onnx" and head["dataset"] == "synthetic-people"
        assert "decoder" in head["counted"] and ("8 bits" in head["counted"]) == (form == "int8")
        assert len(rows) == summary["n_samples"] == PEOPLE and summary["n_steps"] == [1]
        assert summary["accuracy"] is None and summary["latency_s"]["mean"] > 0
        assert not summary["coverage"]["uncounted"]


def test_every_multiplication_of_an_image_by_its_class(reports):
    """Layers behind the first: all MACs within the borders, in both forms; of the class the form has."""
    floating, eight = (reports[form][1] for form in ("float", "int8"))
    for left, right in zip(floating, eight, strict=True):
        assert [layer["name"] for layer in left["layers"]] == [layer["name"] for layer in right["layers"]]
        for a, b in zip(left["layers"], right["layers"], strict=True):
            assert (a["dense_mac"], a["dense_mac_inbounds"]) == (b["dense_mac"], b["dense_mac_inbounds"])
            if a["dense_mac"] and a["assumed_dense"]:
                assert a["mac"] == b["mac"] == a["dense_mac_inbounds"] > 0
            if a["dense_mac"]:
                assert (a["operand_class"], b["operand_class"]) == ("real", "integer")
    totals = [reports[form][0]["totals"] for form in ("float", "int8")]
    assert all(t["ac"] == 0 and t["ops_by_class"]["binary"] == 0 for t in totals)
    assert totals[0]["ops_by_class"]["real"] == totals[0]["mac"]
    assert totals[1]["ops_by_class"]["integer"] == totals[1]["mac"]


def test_the_first_layer_of_eight_bits_skips_what_the_runtime_quantises_to_nothing(artifacts, reports):
    """QuantizeLinear of the file on ONNX Runtime, then taps added up by a convolution of ones."""
    path = artifacts["int8"].file("pose.onnx")
    model = onnx.load(path).graph
    held = {w.name: w for w in model.initializer}
    one = next(n for n in model.node if n.op_type == "QuantizeLinear" and n.input[0] == "x")
    alone = helper.make_model(
        helper.make_graph(
            [one], "q", [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
            [helper.make_tensor_value_info(one.output[0], TensorProto.UINT8, None)],
            [held[name] for name in one.input[1:]],
        ),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=9,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(alone.SerializeToString(), providers=["CPUExecutionProvider"])
    x = images(artifacts["int8"])[0]
    found = session.run(None, {"x": x})[0] != numpy_helper.to_array(held[one.input[2]])
    graph = artifacts["int8"].graph("float")
    name = graph.users_of(graph.input())[0]
    node = graph.nodes[name]
    weights = numpy_helper.to_array(held[f"{name}/weight_quantized"])
    assert weights.dtype == np.int8 and weights.shape == node.weight.shape

    def taps(kernel):
        passed = F.conv2d(
            torch.from_numpy(found.astype(np.float64)), torch.from_numpy(kernel.astype(np.float64)), None,
            node.stride, node.padding,
        )  # fmt: skip
        return passed.sum(dim=(1, 2, 3)).long().tolist()

    layers = [next(k for k in row["layers"] if k["name"] == name) for row in reports["int8"][1]]
    assert [k["sop_exact"] for k in layers] == taps(np.ones_like(weights))
    assert [k["sop_nonzero"] for k in layers] == taps(weights != 0)
    assert [k["nnz_in"] for k in layers] == found.sum(axis=(1, 2, 3)).tolist()


def test_the_counted_graph_is_the_file_that_runs(artifacts):
    """Its integers times their scales are the float graph's weights to half a step of 8 bits."""
    graph, eight = artifacts["int8"].graph("float"), pose_graph(artifacts["int8"])
    assert eight.stage == "integer" and pose_graph(artifacts["float"]).stage == graph.stage
    seen = 0
    for name, node in graph.nodes.items():
        if (weight := getattr(node, "weight", None)) is not None:
            step = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / 127
            # a float32 scale: half a step and a little
            assert np.abs(eight.nodes[name].weight * step - weight).max() <= 0.501 * step.max()
            seen += 1
    assert seen > 10
    with pytest.raises(ArtifactError, match="expected a model of 8 bits"):
        eight_bit_graph(graph, artifacts["float"].file("pose.onnx"))


def test_baselines_of_a_network_without_spikes(reports):
    price = cost_table("horowitz45-int8").price("mac")
    for form, (summary, *_) in reports.items():
        twins, means = summary["twins"], summary["means"]
        assert twins["ann_same_arch_pj"] == pytest.approx(price * means["dense_mac_inbounds"], rel=1e-12)
        assert twins["ann_same_arch_dense_pj"] == pytest.approx(price * means["dense_mac"], rel=1e-12)
        assert twins["qnn_bits"] == 8 and twins["break_even_rate"] is None and twins["verdicts"] == {}
        assert "no layer of them reads spikes" in twins["reasons"]["firing_rate"]
        # in one arithmetic: MACs of 8 bits that were not skipped; of 32 bits, 3.1 and 0.1 pJ scaled by both
        share = means["mac"] / means["dense_mac_inbounds"]
        wide = (3.1 + 0.1) / (3.1 * 64 / 1024 + 0.1 * 8 / 32)
        want = share * (wide if form == "float" else 1)
        assert twins["qnn_ratio"] == pytest.approx(want, rel=1e-9)
        assert summary["bit_budget"]["ace"] == (1024 if form == "float" else 64) * means["mac"]


def test_memory_is_that_of_whole_tensors_in_both_forms(reports):
    """An 8-bit image is no queue of spikes: under one table both forms move the same words."""
    moved = [reports[form][0]["energy"]["exact"]["beside"] for form in ("float", "int8")]
    assert moved[0] == moved[1] and moved[0]["memory_pj"] > 0 and moved[0]["addressing_pj"] > 0


def test_another_process_counts_the_same_images(artifacts, reports, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "verbs.artifact_report._chunks",
        lambda counting, job, asked: (
            Chunk.of_state(json.loads(json.dumps(counted(job, k)["chunk"]))) for k in range(len(counting))
        ),
    )
    out = tmp_path / "there"
    assert cli("energy-report", artifacts["int8"].path, *TABLE, "--limit", PEOPLE, "--out", out) == 0
    found = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    for row, mine in zip(found, reports["int8"][1], strict=True):
        assert {**row, "latency_s": None} == {**mine, "latency_s": None}


def test_frames_of_a_video_are_images(artifacts, tmp_path):
    for number in range(3):
        picture = np.full((40, 48, 3), 30 * number, np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    out = tmp_path / "e"
    video = ("--dataset", "video", "--data", tmp_path)
    assert cli("energy-report", artifacts["float"].path, *TABLE, *video, "--out", out) == 0
    rows = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    assert [row["sample_id"] for row in rows] == ["0", "1", "2"]


def test_the_runner_gives_the_networks_joints_and_no_raster_but_the_images(artifacts):
    x, graph = images(artifacts["int8"]), pose_graph(artifacts["int8"])
    network = PoseNetwork.load(artifacts["int8"].file("pose.onnx"))
    runner = PoseRunner(network, graph)
    record = runner.run(x, (graph.input(),))
    xy, score = network.joints(x[0])
    np.testing.assert_array_equal(record.outputs["xy"], xy)
    np.testing.assert_array_equal(record.outputs["score"], score)
    assert record.rasters[graph.input()].dtype == np.int64 and not record.counts
    assert np.abs(record.rasters[graph.input()]).max() <= 255
    with pytest.raises(BadInput, match="sends no spikes"):
        runner.run(x, ("heads.heatmap",))


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--clip", 2), 2, "its samples have their length"),
        (("--target", "loihi-sim"), 4, "use --target onnx"),
        (("--form", "integer"), 4, "has one form, int8"),
        (("--map", "FILE"), 3, "no cores hold one"),
        (("--host-table", "horowitz45-fp32"), 3, "leave --host-table out"),
        (("--cost-table", "loihi1-davies2018"), 3, "choose an arithmetic table"),
        (("--cost-table", "loihi1-davies2018", "--host-table", "horowitz45-fp32"), 3, "choose an arithmetic"),
        (("--dataset", "lspet", "--data", "HERE"), 3, "found no joints.mat"),
        (("--dataset", "nw-ucla"), 3, "nw-ucla"),
        (("--input", "3x4"), 2, "go with --torch"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(artifacts, tmp_path, capsys, args, code, said):
    (tmp_path / "map.json").write_text("{}")
    places = {"FILE": tmp_path / "map.json", "HERE": tmp_path}
    given = [places.get(a, a) for a in args]
    table = () if "--cost-table" in args else TABLE
    out = tmp_path / "out"
    assert cli("energy-report", artifacts["int8"].path, *table, *given, "--limit", 1, "--out", out) == code
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told and not out.exists()


@pytest.mark.parametrize("verb", ["simulate", "verify", "map", "fuse"])
def test_other_verbs_refuse_it_as_before(artifacts, tmp_path, capsys, verb):
    more = {
        "simulate": ("--target", "onnx"), "verify": (), "map": ("--chip", "loihi1"),
        "fuse": (artifacts["int8"].path, "--out", tmp_path / "f.json"),
    }[verb]  # fmt: skip
    assert cli(verb, artifacts["float"].path, *more) == 3
    assert "pose network" in capsys.readouterr().err
