"""`pipeline`: from frames to actions and joules, with a network, with true joints, and on bad input."""

import json
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import pytest

from convert.artifact import new_artifact
from deploy.pose.joints import COCO
from deploy.pose.nms import iou
from deploy.pose.posetrack import read_poses
from deploy.pose.skeleton import skeleton_map
from train import checkpoint
from train.checkpoint import load_model
from train.data.clip import Clip
from train.data.recipe import Recipe
from train.data.transform import prepare
from train.evaluate import evaluate
from train.pose.people.body import body
from train.pose.people.video import video
from train.skeletons import layout
from verbs import stage_clock
from verbs.people_energy import PeopleCounter
from verbs.people_run import RunDetector
from verbs.pipeline_speed import ASIDE, STAGES
from verbs.stage_clock import StageClock

FRAMES, SIZE = 12, (160, 120)
TINY = ["--set", "backbone=tiny", "--set", "width=32", "--set", "height=64", "--set", "hidden=8"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A folder of frames, and a file of the true joints of the two who act in it."""
    folder = tmp_path_factory.mktemp("clip")
    made = video(3, 1, FRAMES, SIZE)
    frames, annotations = folder / "frames", []
    frames.mkdir()
    for t in range(FRAMES):
        cv2.imwrite(str(frames / f"{t}.png"), made.frame(t).pixels[..., ::-1])
        for role in made.roles[2:]:
            xy = made.stage.camera.project(body(role.joints[t], role.build).keypoints)
            low, high = xy.min(axis=0) - 4, xy.max(axis=0) + 4
            annotations.append({
                "id": 10 * t + role.track, "image_id": 500 + t, "category_id": 1, "iscrowd": 0,
                "track_id": role.track, "bbox": [*low, *(high - low)],
                "keypoints": np.column_stack([xy, np.full(17, 2)]).reshape(-1).tolist(),
            })  # fmt: skip
    images = [{"id": 500 + t, "file_name": f"frames/{t}.png", "frame_id": t} for t in range(FRAMES)]
    people = {"id": 1, "name": "person", "keypoints": list(COCO)}
    truth = folder / "truth.json"
    truth.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [people]}))
    return frames, truth


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    """A pose network that has hardly been trained."""
    from cli import VERBS
    from verbs.group import Verbs, root

    out = tmp_path_factory.mktemp("finder") / "run"
    options = ["--data-option", "train=10", "--epochs", "1", "--batch", "8", "--threads", "1"]
    args = ["train", "--model", "ogn", "--dataset", "synthetic-people", "--out", out, *TINY, *options]
    assert Verbs.run(root(VERBS), [str(a) for a in args]) == 0
    return out


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A keypoint R-CNN of one epoch on five drawn pictures."""
    from cli import VERBS
    from verbs.group import Verbs, root

    out = tmp_path_factory.mktemp("rcnn") / "run"
    sides = {"width": 128, "height": 96, "roi_width": 48, "roi_height": 64}
    small = {**sides, "channels": 16, "cells": 3, "hidden": 16, "depth": 1}
    options = [part for name, value in small.items() for part in ("--set", f"{name}={value}")]
    args = [
        "train",
        "--model",
        "keypoint-rcnn",
        "--out",
        out,
        "--epochs",
        "1",
        "--batch",
        "4",
        "--threads",
        "1",
    ]
    data = ["--data-option", "train=5", "--data-option", "test=2"]
    assert Verbs.run(root(VERBS), [str(a) for a in (*args, *options, *data)]) == 0
    return out


def body_of(folder, name):
    return json.loads((folder / name).read_text())


def test_the_whole_way(run, clip, finder, trained, tmp_path):
    frames, truth = clip
    out = tmp_path / "out"
    thresholds = ["--joint-threshold", 0, "--min-hits", 1, "--birth", 0, "--nms-oks", 1]  # untrained
    before, summary = perf_counter(), tmp_path / "summary.json"
    done = run("pipeline", "--video", frames, "--boxes", truth, "--pose", finder, "--action", trained,
               "--out", out, "--window", 3, "--hop", 1, "--threads", 1, "--json", summary,
               *thresholds)  # fmt: skip
    assert done.code == 0, done.err
    pace = json.loads(summary.read_text())["speed"]
    assert tuple(pace["seconds"]) == (*STAGES, *ASIDE) and all(s > 0 for s in pace["seconds"].values())
    assert sum(pace["seconds"].values()) < perf_counter() - before
    recognising = sum(pace["seconds"][stage] for stage in STAGES)
    assert pace["frames_per_s"] == pytest.approx(FRAMES / recognising, rel=1e-12)  # sums in another order
    assert pace["frames_per_s"] > pace["frames_per_s_with_all"]
    assert f"{pace['frames_per_s']:.2f} frames/s from frames to actions" in done.out
    poses, tracks = read_poses(out / "poses.json"), read_poses(out / "tracks.json")
    assert [f.image_id for f in poses.videos[0].frames] == list(range(500, 500 + FRAMES))
    people = [p for f in poses.videos[0].frames for p in f.people]
    n_boxes = len(json.loads(truth.read_text())["annotations"])
    assert len(people) == n_boxes and all(p.track_id is None for p in people)
    kept = [p for f in tracks.videos[0].frames for p in f.people]
    assert kept and all(p.track_id is not None for p in kept)
    assert not list(tmp_path.glob(".*"))  # no draft is left

    energy = {stage["stage"]: stage for stage in body_of(out, "energy.json")["stages"]}
    assert list(energy) == ["boxes", "pose", "track", "action"]
    assert energy["pose"]["counted"] and energy["pose"]["samples"] == n_boxes
    assert energy["action"]["counted"] and energy["action"]["total_mj"] > 0
    assert not energy["boxes"]["counted"] and not energy["track"]["counted"] and energy["track"]["why"]
    report = body_of(out, "energy/pose/summary.json")
    assert report["totals"]["mac"] > 0 and report["energy"]["exact"]["total_pj"] == pytest.approx(
        1e9 * energy["pose"]["mean_mj"],
        rel=1e-9,  # sums of float64 in another order
    )
    total = energy["pose"]["total_mj"] + energy["action"]["total_mj"]
    assert body_of(out, "energy.json")["counted_mj"] == pytest.approx(total, rel=1e-12)

    actions = body_of(out, "actions.json")
    windows = [w for track in actions["tracks"] for w in track["windows"] if w["class"] is not None]
    assert len(windows) == energy["action"]["samples"] > 0
    assert sum(w["mj"] for w in windows) == pytest.approx(energy["action"]["total_mj"], rel=1e-9)
    assert all(
        len(w["scores"]) == len(actions["classes"]) and sum(w["share"]) == pytest.approx(1) for w in windows
    )
    if actions["rendering"] == "mp4":
        film = cv2.VideoCapture(str(out / "video.mp4"))
        assert sum(film.read()[0] for _ in range(FRAMES + 5)) == FRAMES
    assert cv2.imread(str(out / "strip.png")) is not None


def test_true_joints_get_the_answer_of_the_network_itself(run, clip, trained, onnx_artifact, tmp_path):
    frames, truth = clip
    answers = {}
    for action in (trained, onnx_artifact):
        out = tmp_path / action.name
        done = run("pipeline", "--video", frames, "--pose", truth, "--action", action, "--out", out,
                   "--window", FRAMES, "--threads", 1, "--render", "none")  # fmt: skip
        assert done.code == 0, done.err
        answers[action] = body_of(out, "actions.json")
    mapping, clips = skeleton_map(COCO, "kinect20"), []
    made = video(3, 1, FRAMES, SIZE)
    for role in made.roles[2:]:
        xy = made.stage.camera.project(np.stack([body(j, role.build).keypoints for j in role.joints]))
        joints = mapping.skeletons(xy, np.ones(17, bool))
        clips.append(Clip(str(role.track), joints[None], 0, role.track))
    model, checkpoint = load_model(trained)
    recipe = Recipe.from_dict(checkpoint.about["recipe"])
    expected = evaluate(model, prepare(clips, recipe, layout("kinect20")))
    found = {t["track_id"]: t for t in answers[trained]["tracks"]}
    assert len(found) == len(clips) and len({tuple(t["scores"]) for t in found.values()}) == len(clips)
    for scores in expected:  # tracks are numbered anew; JSON keeps every digit, the batch is another: float32
        assert min(np.abs(scores - t["scores"]).max() for t in found.values()) < 1e-5
    for mine, other in zip(answers[trained]["tracks"], answers[onnx_artifact]["tracks"], strict=True):
        assert mine["class"] == other["class"]  # ONNX Runtime, float
        assert mine["action_mj"] == pytest.approx(other["action_mj"], rel=0.02)  # a spike at its threshold
    assert body_of(tmp_path / trained.name, "energy.json")["not_counted"] == ["pose", "track"]


def test_the_action_runs_checkpoint_is_read_once(run, clip, trained, tmp_path, monkeypatch):
    """It answers and is counted by one reading: a file exchanged in between would be two networks."""
    read, seen = checkpoint.load, []

    def watched(path):
        seen.append(path)
        return read(path)

    monkeypatch.setattr(checkpoint, "load", watched)
    frames, truth = clip
    done = run("pipeline", "--video", frames, "--pose", truth, "--action", trained, "--out", tmp_path / "out",
               "--window", 6, "--threads", 1, "--render", "none")  # fmt: skip
    assert done.code == 0, done.err
    (action,) = (s for s in body_of(tmp_path / "out", "energy.json")["stages"] if s["stage"] == "action")
    assert action["counted"] and seen == [trained]


def test_a_stage_within_another_counts_for_itself_alone(monkeypatch):
    now = iter([0.0, 1.0, 3.0, 7.0, 8.0, 10.0])
    monkeypatch.setattr(stage_clock, "perf_counter", lambda: next(now))
    clock = StageClock()
    with clock.stage("pose"), clock.stage("boxes"):  # 0, 1; out of boxes at 3, of pose at 7
        pass
    for _ in clock.each("frames", []):  # 8, 10
        raise AssertionError
    assert clock.seconds == {"pose": 5.0, "boxes": 2.0, "frames": 2.0}


def test_hog_finds_people_itself(run, finder, trained, tmp_path):
    """Frames that its window fits into; a box of the poses must lie on somebody, by half of both."""
    made, frames, people = video(3, 1, FRAMES, (320, 240)), tmp_path / "frames", []
    frames.mkdir()
    for place, t in enumerate((0, 4, 8, 11)):
        cv2.imwrite(str(frames / f"{place}.png"), made.frame(t).pixels[..., ::-1])
        for role in made.roles[2:]:
            xy = made.stage.camera.project(body(role.joints[t], role.build).keypoints)
            people.append([place, *xy.min(axis=0) - 4, *np.ptp(xy, axis=0) + 8])
    out, truth = tmp_path / "out", np.array(people)
    done = run("pipeline", "--video", frames, "--boxes", "hog", "--pose", finder, "--action", trained,
               "--out", out, "--nms-oks", 1, "--render", "none", "--threads", 1)  # fmt: skip
    assert done.code == 0 and "HOG's window" not in done.err, done.err
    near = [
        iou(np.array([p["bbox"]]), truth[truth[:, 0] == p["image_id"], 1:]).max()
        for p in body_of(out, "poses.json")["annotations"]
    ]
    assert max(near, default=0.0) > 0.5


def test_boxes_of_a_run_are_a_counted_stage(run, clip, finder, trained, people, tmp_path):
    """A sample a frame: the network once, its box head once a proposal. By default few boxes remain."""
    frames, _ = clip
    given = ("--video", frames, "--boxes", people, "--pose", finder, "--action", trained, "--render", "none",
             "--threads", 1)  # fmt: skip
    out, all_of_them = tmp_path / "out", tmp_path / "all"
    done = run("pipeline", *given, "--out", out)
    assert done.code == 0, done.err
    assert "boxes: not counted are" in done.out and "RoIAlign" in done.out
    energy = body_of(out, "energy.json")
    stages = {stage["stage"]: stage for stage in energy["stages"]}
    stage = stages["boxes"]
    assert stage["counted"] and stage["samples"] == FRAMES and "boxes" not in energy["not_counted"]
    assert {"RoIAlign", "the joint head"} <= set(stage["left_out"]) and "once a proposal" in stage[
        "counted_as"
    ]
    counted = [s["total_mj"] for s in stages.values() if s.get("total_mj") is not None]
    assert energy["counted_mj"] == pytest.approx(sum(counted), rel=1e-12) and stage["total_mj"] > 0

    detector, rows = RunDetector(people, 1), {}
    for line in (out / "energy" / "boxes" / "samples.jsonl").read_text().splitlines():
        rows[json.loads(line)["sample_id"]] = json.loads(line)
    counter = PeopleCounter(detector.network)
    seen = {}
    detector.looked = lambda image_id, proposals: seen.update({image_id: proposals})
    for t in range(FRAMES):
        detector.find(t, cv2.imread(str(frames / f"{t}.png")))
    assert len(seen) == FRAMES and min(seen.values()) > 0
    for t, proposals in seen.items():
        want = counter.count(proposals).total("mac")[0]
        assert rows[t]["totals"]["mac"] == want

    rules = body_of(out, "actions.json")["thresholds"]
    assert (rules["score_threshold"], rules["nms_iou"], rules["cap"]) == (0.5, 0.5, 20)
    done = run("pipeline", *given, "--out", all_of_them, "--score-threshold", 0, "--nms-iou", 1)
    assert done.code == 0, done.err
    crops = [body_of(o, "energy.json")["stages"][1].get("samples", 0) for o in (out, all_of_them)]
    assert crops[0] < crops[1]  # what is asked for is what is done


def test_nobody_in_it_is_no_error(run, clip, finder, trained, tmp_path):
    frames, truth = clip
    nobody = json.loads(truth.read_text()) | {"annotations": []}
    (tmp_path / "nobody.json").write_text(json.dumps(nobody))
    for boxes in (tmp_path / "nobody.json", "hog"):
        out = tmp_path / f"out-{Path(boxes).stem}"
        done = run("pipeline", "--video", frames, "--boxes", boxes, "--pose", finder, "--action", trained,
                   "--out", out, "--render", "png", "--threads", 1, "--birth", 1)  # fmt: skip
        assert done.code == 0, done.err
        assert "no person in any frame" in done.out
        assert (
            body_of(out, "actions.json")["tracks"] == [] and len(list((out / "frames").iterdir())) == FRAMES
        )
        assert body_of(out, "tracks.json")["annotations"] == []
        assert ("smaller than HOG's window, 64x128" in done.err) == (boxes == "hog")
    pose = body_of(tmp_path / "out-nobody", "energy.json")["stages"][1]
    assert pose["stage"] == "pose" and not pose["counted"] and "nothing ran" in pose["why"]


def damaged(tmp_path, what):
    """(option, value) of a bad input."""
    place = tmp_path / "bad"
    place.mkdir()
    if what == "video":
        (place / "x.mp4").write_bytes(bytes(range(256)) * 8)
        return "--video", place / "x.mp4", "does not decode as a video"
    if what == "image":
        (place / "0.png").write_bytes(b"no image")
        return "--video", place, "does not decode as an image"
    if what == "sizes":
        for n, side in enumerate((40, 60)):
            cv2.imwrite(str(place / f"{n}.png"), np.zeros((side, side, 3), np.uint8))
        return "--video", place, "expected one size"
    return "--video", place, "holds no image"


@pytest.mark.parametrize("what", ["video", "image", "sizes", "empty"])
def test_bad_footage(run, finder, trained, tmp_path, what):
    option, value, message = damaged(tmp_path, what)
    out = tmp_path / "out"
    done = run(
        "pipeline", option, value, "--boxes", "whole", "--pose", finder, "--action", trained, "--out", out
    )
    assert done.code == 3 and len(done.error_lines) == 1 and message in done.err
    assert not out.exists() and not list(tmp_path.glob(".*"))


def test_wrong_models_joints_and_files(run, clip, finder, trained, tmp_path):
    frames, truth = clip
    whole = json.loads(truth.read_text())
    few = whole | {
        "categories": [{"id": 1, "name": "person", "keypoints": [f"point {k}" for k in range(17)]}]
    }
    elsewhere = whole | {
        "images": [i | {"file_name": "other/" + i["file_name"][7:]} for i in whole["images"]]
    }
    for name, content in (("few", few), ("elsewhere", elsewhere), ("list", [
        {"image_id": 900, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 1.0}
    ])):  # fmt: skip
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    with new_artifact(tmp_path / "sdnn", "sdnn", {}):
        pass
    cases = [
        ({"--pose": trained}, "is no pose network"),
        ({"--pose": tmp_path / "sdnn"}, "is a sigma-delta network"),
        ({"--action": finder}, "is a pose network, expected an action model"),
        ({"--pose": tmp_path / "few.json"}, "none gives hip centre of kinect20"),
        ({"--boxes": tmp_path / "elsewhere.json"}, "its images are of folder other"),
        ({"--boxes": tmp_path / "list.json"}, "none of them a frame"),
        ({"--target": "onnx"}, "which torch runs"),
        ({"--out": frames}, "choose another --out"),
    ]
    for change, message in cases:
        given = {"--video": frames, "--pose": finder, "--action": trained, "--out": tmp_path / "out"} | change
        done = run("pipeline", *(part for pair in given.items() for part in pair))
        assert done.code == 3 and len(done.error_lines) == 1 and message in done.err, (change, done.err)
        assert not (tmp_path / "out").exists()
