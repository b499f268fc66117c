"""A teacher and its student through the command line: train, convert, simulate, count, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convert.artifact import open_artifact
from convert.ir import load_graph

DATA = ["--dataset", "synthetic", "--data-option", "train_per_class=4", "--data-option", "test_per_class=2"]
SMALL = [*DATA, "--frames", "6", "--stream", "joint+bone", "--epochs", "1", "--threads", "1"]
TEACHER = ["--model", "gcn-teacher", "--set", "channels=8,16", "--set", "kernel=3"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cli import VERBS
    from verbs.group import Verbs, root

    out = tmp_path_factory.mktemp("teacher") / "run"
    assert Verbs.run(root(VERBS), [str(a) for a in ("train", *TEACHER, *SMALL, "--out", out)]) == 0
    return out


@pytest.fixture
def artifact(teacher, run, tmp_path):
    out = tmp_path / "artifact"
    done = run("convert", teacher, "--to", "onnx", "--out", out)
    assert done.code == 0
    assert "no integer form: levels.0.0.graph_relu: Relu gives real values, no spikes" in done.out
    assert "on the chip: 0 of" in done.out
    return out


def test_a_teacher_is_a_float_onnx(artifact, run, tmp_path):
    opened = open_artifact(artifact)
    assert set(opened.about["files"]) == {"float.npz", "scan.onnx", "step.onnx"}
    found = {}
    for name in ("onnx", "reference"):
        done = run("simulate", artifact, "--target", name, "--json", tmp_path / f"{name}.json")
        assert done.code == 0
        found[name] = json.loads((tmp_path / f"{name}.json").read_text())
    assert found["onnx"]["form"] == "float" and found["onnx"]["n_steps"] == 1
    assert found["onnx"]["predictions"] == found["reference"]["predictions"]
    assert len(set(found["onnx"]["predictions"])) > 1, "vacuous case"
    shown = run("inspect", artifact)
    assert shown.code == 0 and "floats alone: levels.0.0.graph_relu" in shown.out


def test_its_energy_is_macs_of_real_operands(artifact, run, tmp_path):
    out = tmp_path / "energy"
    done = run("energy-report", artifact, "--limit", "3", "--cost-table", "horowitz45-fp32", "--out", out)
    assert done.code == 0
    summary = json.loads((out / "summary.json").read_text())
    totals, graph = summary["totals"], load_graph(artifact / "float.npz")
    assert totals["ac"] == 0 and totals["mac"] == totals["ops_by_class"]["real"] > 0
    # exact zeros of the input (the root's bone) are no operation; values behind a ReLU all count
    assert 0.99 * totals["dense_mac_inbounds"] < totals["mac"] < totals["dense_mac_inbounds"]
    assert summary["coverage"]["uncounted"] == []
    assert summary["energy"]["exact"]["compute_pj"] == pytest.approx(4.6 * totals["mac"] / 3)  # of 3 samples
    assert graph.spiking() == ()


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "--target", "loihi-sim"), ("simulate", "--target", "onnx", "--form", "integer"),
        ("verify",), ("map", "--chip", "loihi2"),
    ],
)  # fmt: skip
def test_what_needs_integers_is_refused_with_the_reason(artifact, run, words):
    verb, *options = words
    done = run(verb, artifact, *options)
    assert done.code == 4
    assert done.error_lines[0].startswith("error: levels.0.0.graph_relu: Relu gives real values, no spikes")
    assert "holds floats alone" in done.error_lines[0]


def test_no_chip_takes_it(teacher, run, tmp_path):
    done = run("convert", teacher, "--to", "lava", "--out", tmp_path / "lava")
    assert done.code == 4 and "no node of the graph can be on a chip" in done.error_lines[0]
    assert not (tmp_path / "lava").exists()


def test_a_student_learns_from_it_and_converts_without_it(teacher, run, tmp_path):
    out = tmp_path / "student"
    base = ("train", "--model", "base-sgn", "--set", "channels=8,8", *SMALL, "--out", out)
    done = run(*base, "--teacher", teacher, "--set", "distil_labels=0.5", "--set", "temperature=2")
    assert done.code == 0
    entry = json.loads((out / "log.jsonl").read_text().splitlines()[0])
    assert entry["loss_distil-features"] > 0 and entry["loss_distil-labels"] > 0
    assert run("convert", out, "--to", "lava", "--out", tmp_path / "lava").code == 0
    assert run("inspect", out).code == 0
    done = run(*base, "--resume")
    assert (
        done.code == 3 and "found no teacher, the run learns from teacher gcn-teacher" in done.error_lines[0]
    )


def test_refusals(teacher, run, tmp_path):
    base = ("train", "--model", "base-sgn", *SMALL, "--out", tmp_path / "run")
    for more, code, words in (
        (
            ("--teacher", teacher, "--stream", "joint-motion"),
            3,
            "stream 'joint+bone', the run has 'joint-motion'",
        ),
        (("--teacher", teacher, "--frames", "8"), 3, "frames 6, the run has 8"),
        (("--teacher", tmp_path / "none"), 3, "no such file"),
        (("--set", "temperature=2"), 2, "--set temperature: there is no teacher; name one with --teacher"),
        (("--set", "teacher=x"), 2, "--set teacher: use --teacher"),
        (("--teacher", teacher, "--set", "distil_labels=-1"), 2, "distil_labels = -1"),
        (("--model", "gcn-teacher", "--backend", "step"), 2, "gcn-teacher has no such setting"),
        (("--model", "gcn-teacher", "--surrogate", "atan"), 2, "gcn-teacher has no such setting"),
        (("--model", "gcn-teacher", "--repeat", "0"), 2, "takes the whole clip at every step"),
        (("--model", "gcn-teacher", "--set", "channels=6"), 2, "multiples of 4"),
    ):
        done = run(*base, *more)
        assert done.code == code, more
        assert words in done.error_lines[0], more
        assert not (tmp_path / "run").exists()
