"""`map` and `convert --adjacency` through the command line: what is printed, written and refused."""

from __future__ import annotations

import json

import pytest

from deploy.cores.chip import CHIPS


@pytest.fixture(scope="session")
def mapped(lava_artifact, tmp_path_factory):
    """map.json, map.svg of the tiny artifact on loihi2, measured."""
    from cli import VERBS
    from verbs.group import Verbs, root

    folder = tmp_path_factory.mktemp("map")
    args = ["map", lava_artifact, "--chip", "loihi2", "--limit", 3]
    args += ["--out", folder / "map.json", "--svg", folder / "map.svg"]
    assert Verbs.run(root(VERBS), [str(a) for a in args]) == 0
    return folder


def test_the_map_is_whole(mapped, lava_artifact):
    body = json.loads((mapped / "map.json").read_text())
    assert (body["format"], body["version"], body["chip"]["name"]) == ("basalt-map", 1, "loihi2")
    assert len(body["fingerprint"]) == 64
    assert body["traffic"]["activity"] == "measured on 3 samples of the test split"
    assert body["traffic"]["messages"] > 0
    assert {p["population"] for p in body["populations"]} >= {"embed_spike", "readout"}
    held = {p["population"]: 0 for p in body["populations"]}
    for core in body["cores"]:
        for piece in core["pieces"]:
            held[piece["population"]] += piece["stop"] - piece["start"]
    assert held == {p["population"]: p["neurons"] for p in body["populations"]}
    assert {f["form"] for f in body["adjacency"]} == {"dense", "prune", "factor"}
    assert (mapped / "map.svg").read_text().startswith("<svg")


def test_what_is_printed(run, lava_artifact, tmp_path):
    done = run("map", lava_artifact, "--chip", "loihi2", "--rate", 0.1, "--json", tmp_path / "m.json")
    assert done.code == 0
    for part in (
        "population",
        "limit per core",
        "unknown",
        "bottleneck",
        "hops per sample",
        "factor",
        "assumed",
    ):
        assert part in done.out
    assert json.loads((tmp_path / "m.json").read_text())["traffic"]["activity"].startswith("assumed")


def test_the_same_seed_gives_the_same_map(run, lava_artifact, tmp_path):
    for name in ("a", "b"):
        out = tmp_path / name
        assert run("map", lava_artifact, "--chip", "loihi2", "--rate", 0.1, "--out", out).code == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_graded_input_on_loihi_1_is_refused_with_a_way_out(run, lava_artifact):
    done = run("map", lava_artifact, "--chip", "loihi1", "--rate", 0.1)
    assert done.code == 4
    (line,) = done.error_lines
    assert "carries spikes only" in line
    assert "--off-chip embed_spike" in line
    done = run("map", lava_artifact, "--chip", "loihi1", "--rate", 0.1, "--off-chip", "embed_spike")
    assert done.code == 0
    assert "cannot: relay: loihi1 has no neuron LoihiSigmaDelta" in done.out


@pytest.fixture
def small(tmp_path):
    """A chip file with one figure changed."""

    def make(old, new):
        path = tmp_path / "small.toml"
        text = (CHIPS / "loihi2.toml").read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return path

    return make


def test_a_chip_too_small_says_node_value_limit_remedy(run, lava_artifact, small, tmp_path):
    chip = small("value = 1048576", "value = 64")
    done = run("map", lava_artifact, "--chip", chip, "--rate", 0.1, "--out", tmp_path / "m.json")
    assert done.code == 4
    (line,) = done.error_lines
    for part in ("readout", "synapse_bits", "has 64", "convert --adjacency"):
        assert part in line
    assert not (tmp_path / "m.json").exists()


def test_too_few_chips(run, lava_artifact, small):
    chip = small("[limits.cores_per_chip]\nvalue = 128", "[limits.cores_per_chip]\nvalue = 1")
    chip.write_text(chip.read_text().replace("value = 1048576", "value = 65536", 1))
    assert run("map", lava_artifact, "--chip", chip, "--rate", 0.1).code == 0
    done = run("map", lava_artifact, "--chip", chip, "--rate", 0.1, "--chips", 1)
    assert done.code == 4
    assert "1 chips of loihi2 have 1; allow more --chips" in done.error_lines[0]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--chip", "loihi3"], 3, "chip 'loihi3' is unknown; known: loihi1, loihi2"),
        (["--chip", "no/such.toml"], 3, "no/such.toml: not a readable chip file"),
        (["--chip", "loihi2", "--off-chip", "nobody"], 3, "--off-chip nobody: there is no such population"),
        (["--chip", "loihi2", "--rate", "2"], 2, "--rate"),
        (["--chip", "loihi2", "--clip", "2"], 2, "is of kind lava: its samples have their length"),
        ([], 2, "--chip"),
    ],
)
def test_bad_command_lines(run, lava_artifact, args, code, said):
    done = run("map", lava_artifact, *args)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err


def test_without_data_it_says_what_it_assumes(run, lava_artifact, monkeypatch):
    from convert.ir import BadInput

    def gone(*args):
        raise BadInput("nw-ucla: the folder is gone")

    monkeypatch.setattr("verbs.pose_feed.load_feed", gone)
    done = run("map", lava_artifact, "--chip", "loihi2")
    assert done.code == 0
    assert "warning: nw-ucla: the folder is gone; every neuron is taken to spike 0.1 times a step" in done.err
    assert "assumed: every neuron at 0.1" in done.out
    assert run("map", lava_artifact, "--chip", "loihi2", "--dataset", "nw-ucla").code == 3


def test_convert_pruned(run, trained, lava_artifact, tmp_path):
    """Pruning at 0.3 drops what is below 0.3 of the largest, says so, and the program is still a program."""
    done = run("convert", trained, "--to", "lava", "--out", tmp_path / "p", "--adjacency", "prune:0.3")
    assert done.code == 0
    assert "pairs of joints" in done.out
    about = json.loads((tmp_path / "p" / "manifest.json").read_text())["adjacency"]
    assert about["form"] == "prune:0.3"
    assert about["pruned"]
    assert all(0 < p["kept"] < p["entries"] for p in about["pruned"])
    assert run("simulate", tmp_path / "p", "--target", "loihi-sim", "--limit", 2).code == 0
    assert json.loads((lava_artifact / "manifest.json").read_text())["adjacency"] == {
        "form": "dense",
        "pruned": [],
    }


def test_convert_refuses_forms_that_are_none(run, trained, tmp_path):
    done = run("convert", trained, "--to", "lava", "--out", tmp_path / "p", "--adjacency", "prune")
    assert done.code == 2
    assert "prune:0.02" in done.error_lines[0]
    assert not (tmp_path / "p").exists()


def test_convert_factored(run, trained, small, tmp_path):
    """The factored program runs, gives the reference's spikes, and its relays are mapped."""
    out = tmp_path / "f"
    done = run("convert", trained, "--to", "lava", "--out", out, "--adjacency", "factor")
    assert done.code == 0
    assert json.loads((out / "manifest.json").read_text())["adjacency"]["form"] == "factor"
    assert run("verify", out, "--targets", "reference,loihi-sim", "--samples", 2).code == 0
    assert run("map", out, "--chip", "loihi2", "--limit", 2, "--out", tmp_path / "m.json").code == 0
    body = json.loads((tmp_path / "m.json").read_text())
    relays = [p for p in body["populations"] if p["model"] == "LoihiSigmaDelta"]
    assert relays
    assert all(body["traffic"]["populations"][p["population"]]["messages"] > 0 for p in relays)
    done = run("map", out, "--chip", small("value = 1048576", "value = 16384"), "--rate", 0.1)
    assert done.code == 0 and "adjacency: factored already" in done.out
    assert "cores: " in done.out and "convert --adjacency" not in done.out  # it is advised on, but not so
    done = run("map", out, "--chip", small("value = 1048576", "value = 64"), "--rate", 0.1)
    assert done.code == 4 and "convert --adjacency" not in done.err
    done = run("map", out, "--chip", "loihi1", "--rate", 0.1, "--off-chip", "embed_spike")
    assert done.code == 4
    assert "relay: loihi1 has no neuron LoihiSigmaDelta" in done.error_lines[0]


def test_factored_onnx_is_refused(run, trained, tmp_path):
    done = run("convert", trained, "--to", "onnx", "--out", tmp_path / "p", "--adjacency", "factor")
    assert done.code == 4
    assert "relay: LoihiSigmaDelta has no ONNX form" in done.error_lines[0]
    assert not (tmp_path / "p").exists()
