"""A pose network as a sigma-delta network from the command line, and on frames."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cli import VERBS
from convert.artifact import open_artifact
from convert.ir import BadInput
from deploy.onnx_session import Session, read_model
from deploy.pose.sigma_delta import SigmaDeltaPose
from deploy.reference import values
from verbs.group import Verbs, root


def cli(*args) -> int:
    return Verbs.run(root(VERBS), [str(a) for a in args])


def video(sdnn, frames=4):
    rng = np.random.default_rng(0)
    shape = sdnn.graph("float").shapes["input"]
    return rng.normal(size=(1, 2, *shape)) + np.cumsum(rng.normal(size=(frames, 2, *shape)) * 0.1, axis=0)


def test_the_manifest_says_how_it_was_made(sdnn_run, sdnn):
    told = json.loads((sdnn_run.parent / "s.json").read_text())
    assert told["quantisation"]["threshold"] == 0.05 and told["quantisation"]["chosen"] == "asked for"
    assert told["quantisation"]["allowed_loss"] == 100
    assert set(told["parity_with_torch"]["pck"]) == {"torch", "from rest", "moving"}
    assert told["parity_with_torch"]["messages_compared"] > 10_000
    assert sdnn.kind == "sdnn" and {"decoder.onnx", "host.npz", "program.npz"} <= set(sdnn.about["files"])


def test_frames_of_a_video_are_the_references_joints(sdnn):
    x = video(sdnn)
    network = SigmaDeltaPose.load(sdnn)
    integer = sdnn.graph("integer")
    seen = network.video(x, integer.spiking())
    want = values(integer, x)
    for name in (*integer.spiking(), *integer.outputs):
        np.testing.assert_array_equal(seen.record.rasters[name], want[name])
    xy, score = network.reader.decoded({name: want[name] for name in integer.outputs})
    np.testing.assert_array_equal(seen.xy, xy)
    np.testing.assert_array_equal(seen.score, score)
    assert seen.xy.shape == (4, 2, 17, 2) and np.ptp(seen.xy) > 1


def test_maps_reach_the_decoder_as_the_codec_has_them(sdnn):
    """Heads by name, offsets as [N, K, 2, h, w]; scaled and with their bias."""
    x = video(sdnn, 1)
    network, integer, host = SigmaDeltaPose.load(sdnn), sdnn.graph("integer"), sdnn.host()
    got = values(integer, x)
    maps = values(host, {n: got[n].astype(np.float64) for n in integer.outputs})
    heat, offset = (maps[n][0].astype(np.float32) for n in host.outputs)
    feed = {"heatmap": heat, "offset": offset.reshape(2, 17, 2, *offset.shape[2:])}
    found = Session(read_model(sdnn.file("decoder.onnx")), "decoder", 1).run(feed)
    np.testing.assert_array_equal(network.joints(x[0])[0], found["xy"].astype(np.float64))
    float_maps = values(sdnn.graph("float"), x)
    for name in host.outputs:  # thirty layers of 8-bit weights, each a few percent of the layer's rms
        assert np.corrcoef(maps[name].ravel(), float_maps[name].ravel())[0, 1] > 0.9


def test_evaluate_and_inspect_take_it(sdnn, tmp_path, capsys):
    assert cli("evaluate", sdnn.path, "--threads", 1, "--json", tmp_path / "e.json") == 0
    told = json.loads((tmp_path / "e.json").read_text())
    assert told["by"] == "loihi-sim" and told["form"] == "sigma-delta" and told["n_people"] > 3
    assert cli("inspect", sdnn.path) == 0
    assert "LoihiSigmaDelta" in capsys.readouterr().out


def test_auto_takes_the_largest_threshold_that_keeps_pck(sdnn_run, tmp_path, monkeypatch):
    from verbs import pose_sdnn

    monkeypatch.setattr(pose_sdnn, "LADDER", (50.0, 0.0))
    shares = {0.0: 0.8, 50.0: 0.796}
    monkeypatch.setattr(pose_sdnn, "pck", lambda made, *_: shares[made.threshold])
    for known, want in ((0.796, 50.0), (0.79, 0.0)):  # half a point may go
        shares[50.0] = known
        assert cli("convert", sdnn_run, "--to", "sdnn", "--out", tmp_path / "a") == 0
        quantisation = open_artifact(tmp_path / "a").about["quantisation"]
        assert quantisation["threshold"] == want and quantisation["chosen"] == "auto"
        assert quantisation["allowed_loss"] is None


@pytest.fixture
def costs(monkeypatch):
    """Sets what torch is worth on held-out people, and the network from rest and in motion."""
    from train.pose import predict
    from train.pose.pck import Pck
    from verbs import pose_sdnn

    def set_to(torch, rest, moving):
        shares = {0: rest, pose_sdnn.WAY: moving}
        monkeypatch.setattr(pose_sdnn, "pck", lambda made, opened, people, way=0: shares[way] / 100)
        monkeypatch.setattr(predict, "judged", lambda xy, people: Pck(np.array([torch]), np.array([100]), 0))

    return set_to


@pytest.mark.parametrize(("rest", "moving", "way"), [(79, 77, "moving"), (77, 78, "from rest")])
def test_a_threshold_that_costs_too_much_is_refused(sdnn_run, tmp_path, capsys, costs, rest, moving, way):
    """Three points below torch, from rest or in motion: more than 1, and than what is allowed."""
    costs(80, rest, moving)
    out = tmp_path / "a"
    convert = ("convert", sdnn_run, "--to", "sdnn", "--delta-threshold", "0.05", "--out", out)
    for more, bound in (((), "1"), (("--delta-loss", "2.9"), "2.9")):
        assert cli(*convert, *more) == 3
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
        assert len(told) == 1 and f"costs 3.00 points of PCK ({way}, " in told[0]
        assert (
            f"expected {bound} at most; take a smaller one or auto, or allow more by --delta-loss" in told[0]
        )
        assert not out.exists()
    assert cli(*convert, "--delta-loss", "3.1") == 0
    quantisation = open_artifact(out).about["quantisation"]
    assert quantisation["allowed_loss"] == 3.1 and quantisation["chosen"] == "asked for"


def test_a_chosen_threshold_that_costs_more_is_told_of(sdnn_run, tmp_path, capsys, costs):
    """auto is bounded by training people: what held-out ones lose is a line, and the artifact is there."""
    costs(80, 80, 78)
    assert cli("convert", sdnn_run, "--to", "sdnn", "--out", tmp_path / "a") == 0
    assert "warning: threshold 0 costs 2.00 points of PCK (moving" in capsys.readouterr().err
    costs(80, 80, 79.5)
    assert cli("convert", sdnn_run, "--to", "sdnn", "--out", tmp_path / "b") == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--to", "sdnn", "--delta-threshold", "-1"), 2, "expected auto, or a number from 0 to 100"),
        (("--to", "sdnn", "--delta-threshold", "much"), 2, "expected auto"),
        (("--to", "sdnn", "--form", "int8"), 2, "--form: a sigma-delta network has no such setting"),
        (("--to", "onnx", "--delta-threshold", "0.1"), 2, "belongs to --to sdnn"),
        (("--to", "onnx", "--delta-loss", "3"), 2, "--delta-loss: belongs to --to sdnn"),
        (("--to", "sdnn", "--delta-loss", "3"), 2, "--delta-loss: belongs to a --delta-threshold F"),
        (("--to", "onnx", "--no-carry"), 2, "--no-carry: belongs to --to sdnn"),
        (("--to", "lava"), 4, "--to sdnn: graded spikes of changes"),
    ],
)
def test_bad_settings_are_one_line_and_leave_nothing(sdnn_run, tmp_path, capsys, args, code, said):
    assert cli("convert", sdnn_run, *args, "--out", tmp_path / "x") == code
    assert said in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_other_artifacts_and_runs_are_refused(sdnn_run, sdnn, tmp_path, capsys):
    assert cli("convert", sdnn.path, "--to", "sdnn", "--out", tmp_path / "x") == 3
    assert "is an artifact already" in capsys.readouterr().err
    assert cli("convert", sdnn_run, "--to", "onnx", "--out", tmp_path / "onnx") == 0
    with pytest.raises(BadInput, match="of kind pose; expected one of convert --to sdnn"):
        SigmaDeltaPose.load(open_artifact(tmp_path / "onnx"))
