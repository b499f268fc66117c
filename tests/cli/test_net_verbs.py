"""`lint` and `run-net` through the command line: what they print, their codes, their JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from convert.net_reader import read_net
from deploy.target import TARGETS, target
from verbs.run_net import PROGRAMS

FIXTURES = Path(__file__).parents[1] / "net" / "fixtures"


def test_a_good_file_has_no_error(run, tmp_path):
    got = run("lint", FIXTURES / "dense.net", "--json", tmp_path / "found.json")
    assert got.code == 0 and "0 errors" in got.out and "basalt: reads it: 2 populations" in got.out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["findings"] == [] and found["basalt"]["reads"]


def test_an_error_says_place_behaviour_and_fix_and_exits_4(run, tmp_path):
    got = run("lint", FIXTURES / "norm.net", "--json", tmp_path / "found.json")
    assert got.code == 4 and len(got.error_lines) == 1
    for words in (
        "error: layer 1 (dense): bias",
        "netx integrates it from step 1",
        "fix: train without norm",
    ):
        assert words in got.out
    found = json.loads((tmp_path / "found.json").read_text())
    assert [f["severity"] for f in found["findings"]] == ["error", "error"]
    assert set(found["findings"][0]) == {"severity", "place", "found", "netx", "fix"}


def test_what_basalt_does_not_read_exits_4_and_a_broken_file_3(run, tmp_path):
    assert run("lint", FIXTURES / "alif.net").code == 4
    (tmp_path / "bad.net").write_bytes(b"not hdf5")
    for path in (tmp_path / "bad.net", tmp_path / "none.net"):
        got = run("lint", path)
        assert got.code == 3 and len(got.error_lines) == 1 and "Traceback" not in got.err


def test_run_net_runs_a_file_without_lava(run, tmp_path):
    """The spikes it stores are slayer's (the raw output begins one step later: the last block's shift)."""
    with np.load(FIXTURES / "norm.npz") as file:
        x, want = file["input"], file["slayer"]
    np.save(tmp_path / "x.npy", x[:, None])
    got = run("run-net", FIXTURES / "norm.net", "--input", tmp_path / "x.npy", "--out", tmp_path / "y.npz")
    assert got.code == 0, got.err
    name = read_net(FIXTURES / "norm.net").outputs[0]
    with np.load(tmp_path / "y.npz") as file:
        raster = file[f"raster/{name}"][:, 0]
    assert want.sum() > 20 and np.array_equal(raster, want[1 : 1 + len(raster)])


def test_run_net_refuses_a_wrong_array_and_a_wrong_shape(run, tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(5))
    np.save(tmp_path / "wide.npy", np.zeros((4, 1, 7)))
    (tmp_path / "no.npy").write_bytes(b"no array")
    for name in ("flat.npy", "wide.npy", "no.npy", "none.npy"):
        got = run("run-net", FIXTURES / "dense.net", "--input", tmp_path / name)
        assert got.code == 3 and len(got.error_lines) == 1, (name, got.err)


def test_a_folder_or_no_file_is_named(run, tmp_path):
    for verb in (["lint"], ["inspect"]):
        got = run(*verb, tmp_path / "none.net")
        assert got.code == 3 and "none.net: no such file; give a .net file" in got.err
    got = run("lint", tmp_path)
    assert got.code == 3 and "is a folder, expected a .net file" in got.err


def test_run_net_offers_the_targets_that_take_programs():
    assert [n for n in TARGETS if "program" in target(n).takes] == PROGRAMS
