"""`energy-report --torch`: a module of the user's own, good and bad."""

import json
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest

SCHEMA = Path(__file__).parents[2] / "energy" / "schema" / "summary-2.json"
GOOD = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(32, 3)

    def forward(self, x):
        return self.fc((self.conv(x) > 0).float().flatten(1))

class Odd(Net):
    def forward(self, x):
        return super().forward(x) + torch.linalg.svdvals(x[:, 0])[:, :3]

class Picky(Net):
    def forward(self, x):
        raise AssertionError("squares alone")

def tiny():
    return Net()

def odd():
    return Odd()

def number():
    return 3

def picky():
    return Picky()

def broken():
    raise RuntimeError("no weights here")

seven = 7
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with the user's module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine_of_a_test.py").write_text(GOOD)
    (tmp_path / "sick_of_a_test.py").write_text("1 / 0")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "good.npz", x=rng.normal(size=(4, 1, 4, 4)).astype(np.float32), y=np.arange(4) % 3)
    np.save(tmp_path / "nan.npy", np.full((2, 1, 4, 4), np.nan))
    np.savez(tmp_path / "other.npz", z=np.ones(3))
    (tmp_path / "text.npy").write_text("not an array")
    yield tmp_path
    for name in ("mine_of_a_test", "sick_of_a_test"):
        sys.modules.pop(name, None)


TABLE = ("--cost-table", "horowitz45-fp32")


def test_samples_of_a_file_are_counted_one_by_one(run, folder):
    done = run("energy-report", "--torch", "mine_of_a_test:tiny", "--input", "good.npz", *TABLE, "--out", "r")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (folder / "r" / "samples.jsonl").read_text().splitlines()]
    assert [row["sample_id"] for row in rows] == [0, 1, 2, 3] and [row["label"] for row in rows] == [
        0,
        1,
        2,
        0,
    ]
    layers = {layer["name"]: layer for layer in rows[0]["layers"]}
    assert layers["conv"]["operand_class"] == "real" and layers["fc"]["operand_class"] == "binary"
    spikes = layers["model.gt"]["spikes_out"]
    assert 0 < spikes < 32 and layers["fc"]["ac"] == 3 * spikes and layers["conv"]["mac"] == 2 * 100
    summary = json.loads((folder / "r" / "summary.json").read_text())
    assert summary["energy"]["exact"] and summary["header"]["counted"] == "one sample at a time"
    assert (folder / "r" / "report.html").is_file()


@pytest.mark.parametrize("more", [(), ("--time-major",)])
def test_what_a_torch_report_lacks_has_its_reason(run, folder, more):
    """Null is not known, and every null says why, in the file and in print."""
    shape = ("--input", "2x4x4") if more else ("--input", "1x4x4")
    done = run("energy-report", "--torch", "mine_of_a_test:tiny", *shape, *TABLE, *more, "--out", "r")
    assert done.code == 0, done.err
    summary = json.loads((folder / "r" / "summary.json").read_text())
    jsonschema.validate(summary, json.loads(SCHEMA.read_text()))
    exact = summary["energy"]["exact"]
    for part in ("memory", "addressing", "routing"):
        assert exact[f"{part}_pj"] is None and exact["beside"][f"{part}_pj"] is None
        assert "counted by itself" in exact["unpriced"][part] and f"{part}: null: a torch module" in done.out
    for part in ("twins", "bit_budget"):
        assert summary[part] is None and "counted by itself" in summary["absent"][part]
        assert f"{part}: null: a torch module" in done.out
    steps = [layer["by_step"] for layer in summary["layers"]]
    assert any(steps) == bool(more) and ("by_step" in summary["absent"]) == (not more)
    assert ("by_step: null: the module's axis of steps is not known: --time-major" in done.out) == (not more)


def test_a_shape_is_noise_and_says_so(run, folder):
    done = run(
        "energy-report",
        "--torch",
        "mine_of_a_test:tiny",
        "--input",
        "1x4x4",
        "--limit",
        "2",
        *TABLE,
        "--out",
        "r",
    )
    assert done.code == 0, done.err
    summary = json.loads((folder / "r" / "summary.json").read_text())
    assert summary["n_samples"] == 2 and "noise" in summary["header"]["dataset"]


def test_what_has_no_rule_refuses_the_headline(run, folder):
    done = run("energy-report", "--torch", "mine_of_a_test:odd", "--input", "1x4x4", *TABLE, "--out", "r")
    assert done.code == 0, done.err
    summary = json.loads((folder / "r" / "summary.json").read_text())
    assert summary["energy"] is None and "_linalg_svd" in summary["energy_refused"]
    assert 0 < summary["coverage"]["uncounted_share"] < 1


@pytest.mark.parametrize(
    "factory, source, said",
    [
        ("mine_of_a_test", "1x4x4", "expected module:factory"),
        ("mine_of_a_test:nothing", "1x4x4", "has no nothing"),
        ("no_such_module_here:x", "1x4x4", "cannot import no_such_module_here"),
        ("sick_of_a_test:x", "1x4x4", "ZeroDivisionError"),
        ("mine_of_a_test:number", "1x4x4", "gave a int, expected a torch module"),
        ("mine_of_a_test:seven", "1x4x4", "is a int, expected"),
        ("mine_of_a_test:broken", "1x4x4", "no weights here"),
        ("mine_of_a_test:tiny", "2x4x4", "the model does not take"),
        ("mine_of_a_test:picky", "1x4x4", "squares alone"),
        ("mine_of_a_test:tiny", "0x4", "a side is 0"),
        ("mine_of_a_test:tiny", "missing.npy", "no such file"),
        ("mine_of_a_test:tiny", "nan.npy", "NaN"),
        ("mine_of_a_test:tiny", "other.npz", "expected x"),
        ("mine_of_a_test:tiny", "text.npy", "not a readable"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(run, folder, factory, source, said):
    done = run("energy-report", "--torch", factory, "--input", source, *TABLE, "--out", "r")
    assert done.code == 3 and said in done.err
    assert len(done.error_lines) == 1 and "Traceback" not in done.err
    assert not list((folder / "r").glob("*")) if (folder / "r").exists() else True


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("some/artifact", "--torch", "a:b", "--input", "3"),
        ("--torch", "a:b"),
        ("some/artifact", "--input", "3"),
        ("--torch", "a:b", "--input", "3", "--form", "float"),
    ],
)
def test_a_wrong_command_line_is_code_2(run, folder, args):
    assert run("energy-report", *args, *TABLE, "--out", "r").code == 2


def test_a_table_whose_total_is_mostly_memory_is_refused(run, folder):
    """Accesses are counted on a converted model; a total without them would be another quantity."""
    args = ("--torch", "mine_of_a_test:tiny", "--input", "good.npz", "--cost-table", "lemaire2022-interp")
    done = run("energy-report", *args, "--out", "r")
    assert done.code == 3 and "holds memory accesses" in done.err and not (folder / "r").exists()
