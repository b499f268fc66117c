"""`energy-report --torch`: a module of the user's own, good and bad."""

import hashlib
import json
import sys
import tracemalloc
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from energy.torch_counts.samples import given

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

class Stateful(Net):
    def get_extra_state(self):
        return {"seen": 3}

    def set_extra_state(self, state):
        pass

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.fc = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.table(x).mean(1))

class Waves(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(4, 4, dtype=torch.complex64))

    def forward(self, x):
        return torch.fft.fft(x) * self.w

class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 3)

    def forward(self, x):
        return self.fc(x.float().flatten(1))

def flat():
    torch.manual_seed(0)
    return Flat()

def tiny():
    return Net()

def stateful():
    return Stateful()

def words():
    return Words()

def waves():
    return Waves()

def lazy():
    return nn.LazyLinear(3)

def far():
    return nn.Linear(3, 3, device="meta")

def sparse():
    net = nn.Linear(3, 3)
    net.register_buffer("A", torch.eye(3).to_sparse())
    return net

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
    for name, kind in (("swapped", ">f4"), ("wide", np.longdouble), ("whole", ">i4")):
        np.save(tmp_path / f"{name}.npy", np.asfortranarray(5 * rng.normal(size=(3, 1, 4, 4)).astype(kind)))
    np.save(tmp_path / "late.npy", np.stack([np.zeros((1, 4, 4)), np.full((1, 4, 4), np.inf)]))
    np.savez(tmp_path / "other.npz", z=np.ones(3))
    (tmp_path / "text.npy").write_text("not an array")
    np.save(tmp_path / "words.npy", rng.integers(0, 9, size=(2, 5)))
    np.save(tmp_path / "spikes.npy", rng.random((2, 1, 4, 4)) < 0.3)
    np.savez_compressed(tmp_path / "torn.npz", x=rng.normal(size=(9, 1, 4, 4)))
    torn = bytearray((tmp_path / "torn.npz").read_bytes())
    torn[200:400] = bytes(200)
    (tmp_path / "torn.npz").write_bytes(torn)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:-80])
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
    refused = summary["energy_refused"]
    assert summary["energy"] is None and "_linalg_svd" in refused
    assert 0 < summary["coverage"]["uncounted_share"] < 1
    assert "energy/torch_counts/" in refused and "fanout.py" not in refused
    assert "--allow-uncounted" in done.out


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
        ("mine_of_a_test:tiny", "nan.npy", "sample 0 holds NaN"),
        ("mine_of_a_test:tiny", "late.npy", "sample 1 holds NaN or infinity"),
        ("mine_of_a_test:tiny", "other.npz", "expected x"),
        ("mine_of_a_test:tiny", "text.npy", "not a readable"),
        ("mine_of_a_test:tiny", "torn.npz", "not a readable"),
        ("mine_of_a_test:tiny", "cut.npz", "not a readable"),
        ("mine_of_a_test:tiny", "99999x99999x99999", "999970000299999 values in all"),
        ("mine_of_a_test:tiny", "x".join(["1"] * 80), "80 sides"),
        ("mine_of_a_test:tiny", "words.npy", "int64 (5,)"),
        ("mine_of_a_test:lazy", "3", "has no shape yet"),
        ("mine_of_a_test:far", "3", "is on meta"),
        ("mine_of_a_test:sparse", "3", "A is sparse"),
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
        ("--torch", "a:b", "--input", "3", "--split", "test"),
        ("--torch", "a:b", "--input", "3", "--threads", "1"),
        ("--torch", "a:b", "--input", "3", "--page-samples", "2"),
    ],
)
def test_a_wrong_command_line_is_code_2(run, folder, args):
    done = run("energy-report", *args, *TABLE, "--out", "r")
    assert done.code == 2 and len(done.error_lines) == 1 and not (folder / "r").exists()


def test_a_table_whose_total_is_mostly_memory_is_refused(run, folder):
    """Accesses are counted on a converted model; a total without them would be another quantity."""
    args = ("--torch", "mine_of_a_test:tiny", "--input", "good.npz", "--cost-table", "lemaire2022-interp")
    done = run("energy-report", *args, "--out", "r")
    assert done.code == 3 and "holds memory accesses" in done.err and not (folder / "r").exists()


@pytest.mark.parametrize(
    "factory, source, mac",
    [
        ("stateful", "good.npz", 2 * 100),  # the convolution; what the linear layer reads is binary
        ("words", "words.npy", 4 * 3),  # tokens choose rows: moves
        ("waves", "4x4", 4 * 8 + 4 * 16),  # a row N log2 N, for its input is real; 4 a complex product
    ],
)
def test_modules_whose_state_or_input_is_not_all_floats(run, folder, factory, source, mac):
    done = run(
        "energy-report", "--torch", f"mine_of_a_test:{factory}", "--input", source, *TABLE, "--out", "r"
    )
    assert done.code == 0, done.err
    row = json.loads((folder / "r" / "samples.jsonl").read_text().splitlines()[0])
    assert sum(layer["mac"] for layer in row["layers"]) == mac
    assert json.loads((folder / "r" / "summary.json").read_text())["header"]["fingerprint"]


@pytest.mark.parametrize("name", ["swapped", "wide", "whole"])
def test_any_byte_order_width_and_layout_of_a_file(run, folder, name):
    """What numpy reads and torch does not take as it lies there; the same numbers in plain float32."""
    x = np.load(f"{name}.npy")
    np.save("plain.npy", np.ascontiguousarray(x, np.int32 if name == "whole" else np.float32))
    rows = []
    for at, source in enumerate((f"{name}.npy", "plain.npy")):
        out = folder / f"r{at}"
        done = run("energy-report", "--torch", "mine_of_a_test:flat", "--input", source, *TABLE, "--out", out)
        assert done.code == 0, done.err
        rows.append((out / "samples.jsonl").read_text())
    assert rows[0] == rows[1] and len(rows[0].splitlines()) == 3
    summary = json.loads((folder / "r0" / "summary.json").read_text())
    want = hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()
    assert summary["header"]["data_sha256"] == want and summary["totals"]["sop_exact"] > 0


def test_a_mapped_file_is_not_read_whole(tmp_path):
    """Of a file of 1 GiB, two samples: what is read is theirs."""
    x = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.float32, (2**14, 2**14))  # a sparse file
    x[1] = 3
    del x
    tracemalloc.start()
    found = given(str(tmp_path / "large.npy"), 2)
    total, digest = sum(found.sample(n).sum() for n in range(2)), found.digest()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 3 * 2**14 and peak < 10 * 2**16
    assert digest == hashlib.sha256(bytes(2**16) + np.full(2**14, 3, np.float32).tobytes()).hexdigest()


def test_what_is_said_to_be_spikes_must_be(run, folder):
    """Spikes of any type of number are given as the model's floats."""
    args = ("energy-report", "--torch", "mine_of_a_test:tiny", *TABLE, "--operand", "binary", "--out", "r")
    refused = run(*args, "--input", "good.npz")
    assert refused.code == 3 and "beside 0 and 1" in refused.err
    assert not (folder / "r" / "summary.json").exists()
    done = run(*args, "--input", "spikes.npy")
    assert done.code == 0, done.err
    row = json.loads((folder / "r" / "samples.jsonl").read_text().splitlines()[0])
    conv = next(layer for layer in row["layers"] if layer["name"] == "conv")
    assert conv["operand_class"] == "binary" and conv["ac"] > 0 == conv["mac"]
