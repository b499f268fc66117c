"""`boxes`, `track` and `evaluate-poses`: what they print and write, and one line for what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

from deploy.pose.greedy import FILM, FOUND, GREEDY, Rule
from deploy.pose.joints import COCO, LSPET, POSETRACK18
from deploy.pose.tracking import Rules
from deploy.pose.windows import Cut
from verbs.boxes import boxes
from verbs.candidate_options import settled
from verbs.pipeline import pipeline
from verbs.track import track

SHAPE = np.random.default_rng(9).uniform(0, 1, (17, 2)) * [40, 120]


def video(frames=12, ids=True, score=None, shift=0.0, video_id="000001"):
    """PoseTrack18 JSON of two people who cross, the second unseen for two frames."""
    images, people = [], []
    for t in range(frames):
        image = 10000010000 + t
        images.append(
            {"id": image, "frame_id": image, "vid_id": video_id, "file_name": f"{t}.jpg", "is_labeled": True,
             "nframes": frames, "width": 640, "height": 480}
        )  # fmt: skip
        for who, x in enumerate((100 + 10 * t, 300 - 10 * t)):
            if score is not None and who == 1 and t in (5, 6):
                continue
            points = SHAPE + np.array([x + shift, 50])
            table = np.c_[points, np.ones(17)]
            table[3:5] = 0
            entry = {
                "id": image * 100 + who, "image_id": image, "category_id": 1,
                "bbox": [x + shift, 50, 40, 120], "keypoints": table.reshape(-1).tolist(),
                "scores": [], "bbox_head": [x, 50, 30, 40],
            }  # fmt: skip
            if ids:
                entry["track_id"] = who
            if score is not None:
                entry |= {"scores": [score] * 17, "score": score}
            people.append(entry)
    category = {"id": 1, "name": "person", "keypoints": list(POSETRACK18)}
    return {"images": images, "annotations": people, "categories": [category]}


def coco(joints=COCO, people=3):
    """COCO annotations with areas, and the truth as results."""
    draw = np.random.default_rng(0)
    tables = [np.c_[draw.uniform(10, 110, (len(joints), 2)), np.full(len(joints), 2)] for _ in range(people)]
    body = {
        "images": [{"id": n, "width": 200, "height": 200, "file_name": f"{n}.jpg"} for n in range(people)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "keypoints": t.reshape(-1).tolist(), "iscrowd": 0,
             "bbox": [10, 10, 100, 100], "area": 6000} for n, t in enumerate(tables)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(joints)}],
    }  # fmt: skip
    found = [{"image_id": n, "keypoints": t.reshape(-1).tolist(), "score": 0.9} for n, t in enumerate(tables)]
    return body, found


@pytest.fixture
def file(tmp_path):
    def write(name, value):
        (tmp_path / name).write_text(json.dumps(value))
        return tmp_path / name

    return write


def test_track_then_evaluate(run, file, tmp_path):
    """People who cross are followed; the frames nobody saw one of them are misses and nothing else."""
    truth, found = file("gt.json", video()), file("found.json", video(ids=False, score=0.9, shift=1.0))
    out, events = tmp_path / "out" / "tracks.json", tmp_path / "events.json"
    got = run("track", found, "--out", out, "--json", events)
    assert got.code == 0 and "000001      12     22       2            1" in got.out, got.out
    told = json.loads(events.read_text())
    kinds = [e["kind"] for e in told["videos"][0]["events"] if e["kind"] != "close call"]
    assert kinds == ["birth", "birth", "found again"]
    assert told["rules"]["max_age"] == 15 and len(told["sigmas"]) == 17
    made = json.loads(out.read_text())
    assert [i["id"] for i in made["images"]] == [i["id"] for i in video()["images"]]
    assert {a["track_id"] for a in made["annotations"]} == {0, 1}
    got = run("evaluate-poses", truth, out, "--metric", "posetrack", "--json", tmp_path / "f.json")
    assert got.code == 0, got.err
    figures = json.loads((tmp_path / "f.json").read_text())["runs"][0]
    assert figures["counts"] == {
        "misses": 30, "false_positives": 0, "switches": 0, "matches": 330, "objects": 360
    }  # fmt: skip
    assert figures["MOTA"] == pytest.approx(100 * 330 / 360) and 0 < figures["HOTA"] < 100
    assert "joint threshold" in got.out and f"{figures['MOTA']:.1f}" in got.out


def test_thresholds_are_stated_with_their_figures(run, file):
    truth, found = file("gt.json", video()), file("found.json", video(score=0.4))
    args = ("--metric", "posetrack", "--joint-threshold", 0, "--joint-threshold", 0.5)
    got = run("evaluate-poses", truth, found, *args)
    rows = [line.split() for line in got.out.splitlines() if line.split()[:1] in (["0"], ["0.5"])]
    assert got.code == 0 and [row[0] for row in rows] == ["0", "0.5"]
    assert float(rows[0][2]) > 90 and float(rows[1][2]) == 0.0


def test_poseval_compat_is_said(run, file):
    truth = file("gt.json", video())
    got = run("evaluate-poses", truth, truth, "--metric", "posetrack", "--poseval-compat")
    assert got.code == 0 and "last frame of each sequence dropped" in got.out


def test_without_tracks_map_alone(run, file):
    got = run(
        "evaluate-poses", file("gt.json", video()), file("f.json", video(ids=False)), "--metric", "posetrack"
    )
    assert (
        got.code == 0 and "persons lack track ids" in got.out and "note: 24 x predictions without" in got.err
    )


@pytest.mark.parametrize("engine", ["pycocotools", "faster"])
def test_oks(run, file, tmp_path, engine):
    if engine == "faster":
        pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    body, found = coco()
    args = ("--metric", "oks", "--engine", engine, "--json", tmp_path / "f.json")
    got = run("evaluate-poses", file("gt.json", body), file("r.json", found), *args)
    assert got.code == 0 and "sigmas: coco's; area: annotation" in got.out
    made = json.loads((tmp_path / "f.json").read_text())
    assert made["figures"]["AP"] == 1 and made["engine"] == engine


def test_oks_of_another_set_says_whose_sigmas(run, file, refused):
    body, found = coco(LSPET)
    got = run("evaluate-poses", file("gt.json", body), file("r.json", found), "--metric", "oks")
    assert got.code == 0 and "sigmas: lspet: by joint names, ours" in got.out
    some = ",".join(["0.1"] * 14)
    got = run(
        "evaluate-poses", file("gt.json", body), file("r.json", found), "--metric", "oks", "--sigmas", some
    )
    assert got.code == 0 and f"sigmas: --sigmas {some}" in got.out
    for bad, word in (("coco", "17 sigmas for 14 joints"), ("a,b", "expected one of"), ("0,1", "above 0")):
        got = run(
            "evaluate-poses", file("gt.json", body), file("r.json", found), "--metric", "oks", "--sigmas", bad
        )
        refused(got, 3, word)


def test_pck_and_pckh(run, file, tmp_path, refused):
    body, found = coco(LSPET)
    found[0]["keypoints"] = [v + 500 if k % 3 == 0 else v for k, v in enumerate(found[0]["keypoints"])]
    args = ("--metric", "pck", "--json", tmp_path / "f.json")
    got = run("evaluate-poses", file("gt.json", body), file("r.json", found), *args)
    assert got.code == 0 and "PCK@0.2: 66.7 of 42 joints together" in got.out
    made = json.loads((tmp_path / "f.json").read_text())
    assert sum(made["right"]) == 28 and sum(made["counted"]) == 42
    truth = file("v.json", video())
    got = run("evaluate-poses", truth, truth, "--metric", "pckh")
    assert got.code == 0 and "PCKh@0.5: 100.0 of 360 joints" in got.out
    got = run("evaluate-poses", file("gt.json", body), file("r.json", found), "--metric", "pckh")
    refused(got, 3, "no annotated joint counts")


def test_boxes_of_a_file(run, file, tmp_path):
    body, _ = coco()
    found = [{"image_id": n, "category_id": 1, "bbox": [10, 10, 100, 100], "score": 0.3} for n in range(3)]
    found.append({"image_id": 0, "category_id": 1, "bbox": [900, 10, 10, 10], "score": 0.9})
    found += 2 * [{"image_id": 77, "category_id": 1, "bbox": [10, 10, 100, 100], "score": 0.3}]
    names = {k: tmp_path / f"o.{k}" for k in ("json", "csv", "svg")}
    got = run("boxes", file("gt.json", body), "--detections", file("b.json", found), "--out", names["json"],
              "--csv", names["csv"], "--svg", names["svg"], "--json", tmp_path / "f.json")  # fmt: skip
    assert got.code == 0 and "note: 1 x boxes wholly outside their image" in got.err, got.err
    assert "note: 2 x boxes of other images than the annotated ones: passed over" in got.err
    made = json.loads((tmp_path / "f.json").read_text())
    assert made["curves"]["plain"]["recall"][0][-1] == 0 and made["curves"]["greedy"]["recall"][0][-1] == 1
    assert len(json.loads(names["json"].read_text())) == 3
    assert names["csv"].read_text().startswith("boxes,rank") and "<svg" in names["svg"].read_text()


def test_people_may_be_of_any_category(run, file, tmp_path):
    """The annotations say which it is; ours is 1, as in COCO."""
    body, _ = coco()
    truth = {
        **body, "categories": [{**body["categories"][0], "id": 7}],
        "annotations": [{**a, "category_id": 7} for a in body["annotations"]],
    }  # fmt: skip
    poses = body | {"annotations": [{**a, "score": 0.9} for a in body["annotations"]]}
    out, json_path = tmp_path / "b.json", tmp_path / "f.json"
    args = (file("gt.json", truth), file("p.json", poses), "--metric", "oks", "--json", json_path)
    assert run("evaluate-poses", *args).code == 0
    assert json.loads(json_path.read_text())["figures"]["AP"] == 1
    listed = [
        {k: a[k] for k in ("image_id", "category_id", "bbox")} | {"score": 0.9} for a in truth["annotations"]
    ]
    got = run("boxes", tmp_path / "gt.json", "--detections", file("d.json", listed), "--out", out)
    assert got.code == 0 and [b["category_id"] for b in json.loads(out.read_text())] == [7, 7, 7], got.err


def test_defaults_are_the_rules_own():
    """One source: a named choice of boxes, the tracker's rules, the windows'."""
    films, pictures, tracks = (
        {option.name: option.default for option in verb.params} for verb in (pipeline, boxes, track)
    )
    for rule in (FILM, FOUND):  # of a detector or a file, and of a run: what the rule leaves open is the same
        own = settled(films, rule)
        assert Rule(own["score_threshold"], own["nms_iou"], own["cap"]) == rule
    assert settled({**films, "nms_iou": 0.0}, FOUND)["nms_iou"] == 0.0
    assert Rule(*(pictures[name] for name in ("score_threshold", "nms_iou", "cap", "enlarge"))) == GREEDY
    assert Rules() == Rules(**{name: tracks[name] for name in Rules.__slots__})
    assert Rules() == Rules(**{name: films[name] for name in ("joint_threshold", "birth", "min_hits")})
    assert Cut() == Cut(films["window"], films["hop"])


def test_boxes_of_opencv(run, file, tmp_path, refused):
    cv2 = pytest.importorskip("cv2", reason="opencv is not installed")
    body, _ = coco()
    for image in body["images"]:
        cv2.imwrite(str(tmp_path / image["file_name"]), np.full((200, 200, 3), 127, np.uint8))
    got = run("boxes", file("gt.json", body), "--detector", "hog", "--images", tmp_path)
    assert got.code == 0 and "3 people with a box in 3 images" in got.out
    (tmp_path / "1.jpg").write_bytes(b"no image")
    got = run(
        "boxes",
        file("gt.json", body),
        "--detector",
        "hog",
        "--images",
        tmp_path,
        "--out",
        tmp_path / "o.json",
    )
    refused(got, 3, "1.jpg: does not decode as an image")
    assert not (tmp_path / "o.json").exists()


def test_a_video_without_persons(run, file, tmp_path):
    empty = video() | {"annotations": []}
    got = run("track", file("p.json", empty), "--out", tmp_path / "t.json")
    assert got.code == 0 and "no person in any frame" in got.out
    assert len(json.loads((tmp_path / "t.json").read_text())["images"]) == 12
    got = run("evaluate-poses", file("gt.json", video()), tmp_path / "t.json", "--metric", "posetrack")
    assert got.code == 0 and "0.0" in got.out


def test_drawn_videos_are_followed(run, tmp_path):
    """draw-people -> track -> evaluate-poses: people who walk past one another and act, without an id
    swapped.
    """
    drawn = tmp_path / "people"
    assert run("draw-people", "--out", drawn, "--videos", 1, "--frames", 24, "--seed", 3).code == 0
    truth = next((drawn / "annotations").rglob("*.json")).parent
    got = run("track", truth, "--out", tmp_path / "tracks.json", "--min-hits", 1)
    assert got.code == 0, got.err
    got = run(
        "evaluate-poses", truth, tmp_path / "tracks.json", "--metric", "posetrack", "--json", tmp_path / "f"
    )
    figures = json.loads((tmp_path / "f").read_text())["runs"][0]
    assert figures["counts"]["objects"] > 300 and figures["counts"]["switches"] == 0
    assert figures["MOTA"] == 100 and figures["mAP"] == 100


BAD = {
    "nan": (lambda b: b["annotations"][0]["keypoints"].__setitem__(0, float("nan")), "holds NaN"),
    "joints": (lambda b: b["annotations"][0]["keypoints"].append(0), "52 numbers, expected 51"),
    "twice": (lambda b: b["images"].append({**b["images"][0], "width": 1}), "listed twice"),
    "no image": (lambda b: b["images"].pop(0), "which 'images' does not list"),
    "no category": (lambda b: b.update(categories=[]), "0 categories name keypoints"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_poses_are_one_line_and_nothing_is_written(run, file, tmp_path, what, refused):
    body = video(score=0.9)
    BAD[what][0](body)
    bad, out = file("bad.json", body), tmp_path / "out.json"
    refused(run("track", bad, "--out", out, "--json", tmp_path / "e.json"), 3, str(bad), BAD[what][1])
    truth = file("gt.json", video())
    refused(run("evaluate-poses", truth, bad, "--metric", "posetrack", "--json", out), 3, BAD[what][1])
    refused(run("evaluate-poses", bad, truth, "--metric", "posetrack", "--json", out), 3, BAD[what][1])
    assert not out.exists() and not (tmp_path / "e.json").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.json", "gt.json"]


def test_what_the_command_line_gets_wrong(run, file, tmp_path, refused):
    truth = file("gt.json", video())
    refused(run("track", truth, "--out", truth), 2, "is the file of poses itself")
    refused(run("boxes", truth), 2, "one of the two")
    refused(run("boxes", truth, "--detector", "hog"), 2, "needs --images")
    strange = file("b.json", [{"image_id": 77, "bbox": [1, 1, 9, 9], "score": 1.0}])
    refused(run("boxes", truth, "--detections", strange), 3, "image 77 and others, none of them annotated")
    refused(run("evaluate-poses", truth, tmp_path / "none.json", "--metric", "posetrack"), 3, "no such file")
    other = file(
        "other.json", video(video_id="000002") | {"images": [{"id": 1, "file_name": "x"}], "annotations": []}
    )
    refused(run("evaluate-poses", truth, other, "--metric", "posetrack"), 3, "never counted anew")
    unlabelled = video()
    for image in unlabelled["images"]:
        image["is_labeled"] = False
    refused(
        run("evaluate-poses", file("u.json", unlabelled), truth, "--metric", "posetrack"),
        3,
        "no frame is labelled",
    )
