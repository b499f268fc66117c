"""simulate, verify and energy-report of a sigma-delta pose network, from the command line."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from cli import VERBS
from convert.artifact import open_artifact
from convert.ir import LoihiDelta, LoihiSigmaDelta
from deploy.lava_sim import LavaSim
from deploy.pose.sigma_delta import SigmaDeltaPose
from energy.chunk import Chunk
from verbs.counting import counted
from verbs.group import Verbs, root
from verbs.pose_feed import moved, pose_feed

TABLE = ("--cost-table", "horowitz45-int32")


def cli(*args) -> int:
    return Verbs.run(root(VERBS), [str(a) for a in args])


def told(path, *args):
    assert cli(*args, "--json", path) == 0
    return json.loads(path.read_text())


@pytest.fixture(scope="session")
def still(tmp_path_factory):
    """A folder of five frames, all the same picture of noise."""
    folder = tmp_path_factory.mktemp("still")
    picture = np.random.default_rng(0).integers(0, 256, (48, 40, 3)).astype(np.uint8)
    for number in range(5):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


def test_a_picture_moves_left_until_it_stands():
    x = np.arange(5.0).reshape(1, 1, 1, 5)
    np.testing.assert_array_equal(
        moved(x, 2)[:, 0, 0, 0], [[3, 4, 0, 1, 2], [4, 0, 1, 2, 3], [0, 1, 2, 3, 4]]
    )


def test_simulate_gives_the_joints_and_messages_of_the_network(sdnn, tmp_path):
    found = told(
        tmp_path / "s.json", "simulate", sdnn.path, "--target", "loihi-sim", "--limit", 3, "--clip", 3
    )
    feed = pose_feed(sdnn, None, None, "test", 3, 3)
    names = sdnn.graph("integer").spiking()
    network = SigmaDeltaPose.load(sdnn)
    seen = network.video(feed.batch(0, 3)[1], names)
    network.close()
    assert found["n_samples"] == 3 and found["n_steps"] == 3 and found["messages"] > 1000
    for name in names:
        want = [int(np.count_nonzero(frame)) for frame in seen.record.rasters[name]]
        assert found["populations"][name]["messages_by_frame"] == want
    frames = np.array([pose["frames"] for pose in found["poses"]]).swapaxes(0, 1)  # [T, N, K, 3]
    want = feed.clips.back(range(3), seen.xy)
    np.testing.assert_allclose(frames[..., :2], want, atol=5.1e-4)  # written to 0.001
    np.testing.assert_allclose(frames[..., 2], seen.score, atol=5.1e-4)


def test_pck_is_that_of_convert_in_motion_and_of_evaluate_from_rest(sdnn_run, sdnn, tmp_path):
    judged = json.loads((sdnn_run.parent / "s.json").read_text())["parity_with_torch"]["pck"]
    moving = told(tmp_path / "m", "simulate", sdnn.path, "--target", "loihi-sim", "--split", "validation")
    rest = told(
        tmp_path / "r", "simulate", sdnn.path, "--target", "loihi-sim", "--split", "validation", "--clip", 1
    )
    assert moving["pck"] == judged["moving"] and rest["pck"] == judged["from rest"]
    assert rest["share_of_later_frames"] is None and rest["share_of_first_frame"] > 0.2


def test_a_video_that_stands_still_sends_nothing_after_its_first_frame(sdnn, still, tmp_path, capsys):
    video = ("--dataset", "video", "--data", still)
    found = told(tmp_path / "v", "simulate", sdnn.path, "--target", "reference", *video, "--clip", 3)
    assert "the last 2 of 5 frames make no clip of 3: left out" in capsys.readouterr().err
    assert [pose["id"] for pose in found["poses"]] == ["0-2"] and found["pck"] is None
    for population in found["populations"].values():
        assert population["messages_by_frame"][1:] == [0, 0]
    assert found["share_of_first_frame"] > 0.2 and found["share_of_later_frames"] == 0
    frames = found["poses"][0]["frames"]
    assert frames[0] == frames[1] == frames[2]


def test_the_float_form_has_joints_and_no_messages(sdnn, still, tmp_path):
    video = ("--dataset", "video", "--data", still)
    on = ("simulate", sdnn.path, "--target", "onnx", "--form", "float")
    found = told(tmp_path / "f", *on, *video)
    assert found["form"] == "float" and found["n_steps"] == 5 and found["populations"] == {}
    assert len(found["poses"][0]["frames"]) == 5 and found["messages"] == 0


def test_verify_compares_every_message_and_the_dense_integers(sdnn, tmp_path, capsys, monkeypatch):
    """Three frames at work at once, as if no more fitted into memory: what is told is of both clips."""
    import verbs.pose_verify as here

    seen, own = [], here.dense_comparison
    monkeypatch.setattr("verbs.pose_feed.TOGETHER", 3)
    monkeypatch.setattr(
        here, "dense_comparison", lambda opened, x: seen.append(x.shape[:2]) or own(opened, x)
    )
    found = told(tmp_path / "v", "verify", sdnn.path, "--samples", 2, "--clip", 3)
    assert found["passed"] and found["n_steps"] == 3 and set(found["not_available"]) == {"onnx", "lava"}
    graph = sdnn.graph("integer")
    for name in ("reference", "loihi-sim", "dense integers"):
        row = found["targets"][name]
        assert row["exact"] and row["mismatching"] == 0 and row["spikes"] > 10_000
        assert row["populations"] == len(graph.spiking()) + len(graph.outputs)
        sizes = [int(np.prod(graph.shapes[n])) for n in (*graph.spiking(), *graph.outputs)]
        assert row["places"] == 3 * 2 * sum(sizes)
    assert seen == [(3, 1), (3, 1)]
    assert set(found["joints"]) == {"dense integers", "float"}
    assert "input.delta and 30 more: Lava 0.10.0 has no `carry`" in capsys.readouterr().out


def test_lavas_own_form_forgets_bits_and_lava_has_its_neurons(sdnn_run, tmp_path):
    """Every message is still the reference's; the dense integers are promised of neurons with carry alone."""
    out = tmp_path / "own"
    convert = ("convert", sdnn_run, "--to", "sdnn", "--no-carry", "--delta-threshold", 0, "--out", out)
    assert told(tmp_path / "c", *convert)["quantisation"]["carry"] is False
    made = open_artifact(out)
    coders = [n for n in made.graph("integer").nodes.values() if isinstance(n, LoihiDelta | LoihiSigmaDelta)]
    assert len(coders) > 20 and not any(n.carry for n in coders)
    assert not any("carry" in reason for reason in LavaSim().supports(made.program()))
    # target lava would refuse it: its words of 32 bits hold the sums of narrower networks alone
    here = ("--samples", 1, "--clip", 3, "--targets", "reference,loihi-sim")
    found = told(tmp_path / "v", "verify", out, *here)
    rows = {name: (row["exact"], row["mismatching"] > 0) for name, row in found["targets"].items()}
    assert rows == {"reference": (True, False), "loihi-sim": (True, False), "dense integers": (False, True)}


def test_a_target_that_refuses_every_layer_says_so_once(sdnn, monkeypatch, capsys):
    monkeypatch.setattr("deploy.lava_sim.LavaSim.available", lambda self: None)  # asked, never started
    assert cli("simulate", sdnn.path, "--target", "lava") == 4
    said = capsys.readouterr().err
    assert "lava: input.delta and 30 more: Lava 0.10.0 has no `carry`" in said and said.count("carry") == 1


@pytest.mark.parametrize("place", ["dense", "simulator"])
def test_verify_fails_where_one_value_differs(sdnn, tmp_path, monkeypatch, capsys, place):
    """A count more in one neuron of one layer at the last frame, in the dense network or on the simulator."""
    import deploy.loihi_sim
    import verbs.pose_verify as here

    if place == "dense":
        own = here.dense_values

        def off(graph, x):
            found = own(graph, x)
            found["relu_3"][-1].flat[0] += 1
            return found

        monkeypatch.setattr(here, "dense_values", off)
        failed, kept = "dense integers", "loihi-sim"
    else:
        runner = type(deploy.loihi_sim.LoihiSim(1).compile(sdnn.program()))
        own_run = runner.run

        def off_run(self, x, rasters=()):
            found = own_run(self, x, rasters)
            if "heads.offset.sigma" in found.rasters:
                found.rasters["heads.offset.sigma"][0].flat[0] += 1  # a sum of a frame that is not the last
            return found

        monkeypatch.setattr(runner, "run", off_run)
        failed, kept = "loihi-sim", "reference"
    assert cli("verify", sdnn.path, "--samples", 1, "--clip", 2, "--json", tmp_path / "v") == 5
    found = json.loads((tmp_path / "v").read_text())["targets"]
    assert found[failed]["mismatching"] == 1 and found[kept]["mismatching"] == 0
    assert "not the spikes of the integer reference" in capsys.readouterr().err


def test_a_still_video_passes_synapses_in_its_first_frame_alone(sdnn, still, tmp_path):
    """By layer and frame; what the camera gives the encoder at every frame stands in its own line."""
    out, video = tmp_path / "e", ("--dataset", "video", "--data", still, "--clip", 5)
    summary = told(tmp_path / "s", "energy-report", sdnn.path, *TABLE, *video, "--out", out)
    row = json.loads((out / "samples.jsonl").read_text())
    assert row["n_steps_used"] == 5 and row["label"] is None and row["prediction"] is None
    synaptic = [layer for layer in row["layers"] if "->" in layer["name"]]
    assert len(synaptic) > 30
    camera, *others = synaptic
    assert camera["name"].endswith("input->input.delta") and len(set(camera["by_step"]["sop_exact"])) == 1
    for layer in others:
        assert layer["by_step"]["sop_exact"][0] == layer["sop_exact"] > 0
        assert layer["by_step"]["sop_exact"][1:] == [0, 0, 0, 0]
        assert layer["mac"] == layer["sop_exact"] and layer["ac"] == 0  # changes have sizes: they multiply
        assert layer["dense_mac"] >= 5 * layer["sop_exact"]  # the dense network computes every frame anew
    assert list(summary["energy"]) == ["exact"] and summary["twins"] is None and summary["accuracy"] is None
    assert "decoder" in summary["header"]["counted"] and "break-even" in summary["absent"]["twins"]
    assert (out / "report.html").is_file()


def test_another_process_counts_the_same_clips(sdnn, tmp_path, monkeypatch):
    """What `--workers` and `--cluster` send to other processes names clips as this one does."""
    rows = {}
    for name in ("here", "there"):
        out = tmp_path / name
        more = ("--limit", 2, "--clip", 2, "--split", "train")
        assert cli("energy-report", sdnn.path, *TABLE, "--out", out, *more) == 0
        rows[name] = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
        for row in rows[name]:
            row["latency_s"] = None
        monkeypatch.setattr(
            "verbs.artifact_report._chunks",
            lambda counting, job, asked: (
                Chunk.of_state(json.loads(json.dumps(counted(job, k)["chunk"]))) for k in range(len(counting))
            ),
        )
    assert len(rows["here"]) == 2 and rows["here"] == rows["there"]


def test_map_measures_the_changes_of_clips(sdnn, still, tmp_path, capsys):
    """Of a picture that stands still every layer sends as much in five frames as in one; the camera gives
    every frame anew. Spikes are the messages that `simulate` counts."""
    maps = {}
    for frames in (1, 5):
        video = ("--dataset", "video", "--data", still, "--clip", frames, "--limit", 1)
        maps[frames] = told(tmp_path / f"{frames}", "map", sdnn.path, "--chip", "loihi2", *video)
        said = capsys.readouterr().out
        assert f"measured on 1 clips of {frames} frames of {still.name}" in said and "adjacency" not in said
    one, five = ({n: p["spikes"] for n, p in m["traffic"]["populations"].items()} for m in maps.values())
    camera = one.pop("input")
    assert five.pop("input") == 5 * camera > 5000
    ran = told(tmp_path / "s", "simulate", sdnn.path, "--target", "loihi-sim", *video)["populations"]
    assert one == five == {name: sum(ran[name]["messages_by_frame"]) for name in one}
    assert sum(one.values()) > 1000 and all(m["traffic"]["messages"] > 0 for m in maps.values())


def test_map_at_a_rate_takes_a_clip_of_people(sdnn, tmp_path):
    found = told(tmp_path / "m", "map", sdnn.path, "--chip", "loihi2", "--rate", 0.5, "--clip", 3)
    assert found["traffic"]["activity"] == "assumed: every neuron at 0.5 spikes per step, 3 steps"
    found = told(tmp_path / "m", "map", sdnn.path, "--chip", "loihi2", "--rate", 0.5)
    assert found["traffic"]["activity"].endswith("4 steps")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("map", "SDNN", "--chip", "loihi1"), 4, "input.delta: loihi1 has no neuron LoihiDelta"),
        (("map", "SDNN", "--chip", "loihi2", "--dataset", "video"), 2, "needs --data"),
        (("map", "SDNN", "--chip", "loihi2", "--data", "NONE", "--out", "OUT"), 3, "does not decode as a"),
        (("simulate", "SDNN", "--target", "onnx"), 4, "LoihiDelta has no ONNX form"),
        (("simulate", "SDNN", "--target", "loihi-sim", "--stream"), 4, "simulate it without --stream"),
        (
            ("simulate", "SDNN", "--target", "loihi-sim", "--stream", "--clip", 2),
            2,
            "does not go with --clip",
        ),
        (("simulate", "SDNN", "--target", "loihi-sim", "--dataset", "video"), 2, "needs --data"),
        (("simulate", "SDNN", "--target", "loihi-sim", "--data", "NONE"), 3, "does not decode as a video"),
        (
            ("simulate", "SDNN", "--target", "loihi-sim", "--dataset", "lspet", "--data", "OUT"),
            3,
            "found no joints.mat",
        ),
        (("verify", "SDNN", "--targets", "onnx"), 4, "LoihiDelta has no ONNX form"),
        (("energy-report", "SDNN", *TABLE, "--convention", "paper-sdt", "--out", "OUT"), 3, "have sizes"),
        (
            ("energy-report", "SDNN", "--cost-table", "loihi1-davies2018", "--limit", 1, "--out", "OUT"),
            3,
            "prices operations on spikes alone",
        ),
        (("energy-report", "SDNN", *TABLE, "--switch", "rate=mean", "--out", "OUT"), 3, "have sizes"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(sdnn, tmp_path, capsys, args, code, said):
    (tmp_path / "no.mp4").write_bytes(b"not a video")
    places = {"SDNN": sdnn.path, "OUT": tmp_path / "out", "NONE": tmp_path / "no.mp4"}
    assert cli(*(places.get(a, a) for a in args)) == code
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_clip_is_of_a_sigma_delta_network_alone(sdnn_run, tmp_path, capsys):
    assert cli("convert", sdnn_run, "--to", "onnx", "--out", tmp_path / "onnx") == 0
    assert cli("verify", tmp_path / "onnx", "--clip", 2) == 2
    assert "is of kind pose: its samples have their length" in capsys.readouterr().err
