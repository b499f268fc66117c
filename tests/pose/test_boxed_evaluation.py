"""`evaluate --boxes`: a pose network in boxes that somebody found, held to what it says in annotated ones."""

from __future__ import annotations

import json

import pytest

from cli import VERBS
from train.pose.data import registry
from verbs.group import Verbs, root

ALL = ("--score-threshold", "0", "--nms-iou", "1", "--nms-oks", "1")  # nobody is chosen among


def cli(*args) -> int:
    return Verbs.run(root(VERBS), [str(a) for a in args])


@pytest.fixture(scope="module")
def everybody():
    """The test people of `sdnn_run`."""
    return registry.load("synthetic-people", None, "test", train=12, test=4)


@pytest.fixture
def boxes(everybody, tmp_path):
    """Writes a file of people's annotated boxes; `change` may edit the list first."""

    def write(change=lambda listed: listed):
        made = [
            {"image_id": p.image_id, "category_id": everybody.category, "bbox": p.box.tolist(), "score": 0.9}
            for p in everybody.people
        ]
        path = tmp_path / "boxes.json"
        path.write_text(json.dumps(change(made)))
        return path

    return write


@pytest.fixture
def told(sdnn_run, tmp_path):
    """What `evaluate` says of the run."""

    def ask(*args):
        path = tmp_path / "told.json"
        assert cli("evaluate", sdnn_run, "--threads", 1, "--json", path, *args) == 0
        return json.loads(path.read_text())

    return ask


def test_in_the_annotated_boxes_it_is_the_plain_figure(told, boxes, everybody):
    """One to one: who is found in his own box has the joints that he has without --boxes."""
    plain, found = told(), told("--boxes", boxes(), *ALL)
    assert found["joints"] == plain["joints"] and found["n_people"] == len(everybody) > 4
    assert {tuple(p["keypoints"]) for p in found["poses"]} == {tuple(p["keypoints"]) for p in plain["poses"]}
    assert found["boxes"]["recall@0.5"] == 1 and found["detector"] == "boxes.json"
    # a score is the box's times the joints' above 0.2, and these joints are vague
    assert all(p["score"] <= 0.9 for p in found["poses"])


def test_who_has_no_box_is_wrong_in_all_joints(told, boxes, everybody):
    lost = [p.id for p in everybody.people if p.image_id == everybody.people[0].image_id]
    found = told(
        "--boxes", boxes(lambda listed: [b for b in listed if b["image_id"] != listed[0]["image_id"]]), *ALL
    )
    plain = told("--boxes", boxes(), *ALL)
    counted = [{name: j["counted"] for name, j in told_of["joints"].items()} for told_of in (found, plain)]
    assert counted[0] == counted[1] and len(found["poses"]) == len(plain["poses"]) - len(lost)
    assert found["boxes"]["recall@0.5"] == pytest.approx(1 - len(lost) / len(everybody))
    assert found["pck"] <= plain["pck"]


def test_candidates_are_chosen_and_doubles_taken_away(told, boxes, capsys):
    """Twice the same box, one vague, one outside: the rule leaves the first alone."""

    def change(listed):
        vague = [{**b, "score": 0.01} for b in listed]
        outside = {**listed[0], "bbox": [5000, 0, 20, 20]}
        return [*listed, *vague, outside]

    found, plain = told("--boxes", boxes(change), "--nms-oks", 1), told("--boxes", boxes(), "--nms-oks", 1)
    assert found["poses"] == plain["poses"] and found["rules"] == {
        "score": 0.05,
        "iou": 0.8,
        "cap": 50,
        "oks": 1.0,
    }
    assert "1 x boxes wholly outside their image: left out" in capsys.readouterr().err
    assert len(told("--boxes", boxes(), "--cap", 1)["poses"]) == found["n_images"]


def test_boxes_of_other_images_are_told_of(told, boxes, capsys):
    """Three, of two images that are not in the split; --limit leaves images of the split out, and says
    nothing."""

    def change(listed):
        return [*listed, *({**listed[0], "image_id": 10**9 + n} for n in (1, 2, 2))]

    found, plain = told("--boxes", boxes(change)), told("--boxes", boxes())
    assert found["poses"] == plain["poses"] and found["n_images"] == plain["n_images"]
    note = "note: 3 x boxes of other images than the images of synthetic-people (test) with people: passed"
    err = capsys.readouterr().err
    assert err.count(note) == 1 and err.count("passed over") == 1
    assert told("--boxes", boxes(), "--limit", 1)["n_images"] == 1
    assert "passed over" not in capsys.readouterr().err


def test_it_finds_people_by_itself(told):
    found = told("--boxes", "whole", "--limit", 2)
    assert found["n_images"] == 2 and len(found["poses"]) == 2 and found["detector"] == "whole frame"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--cap", 3), 2, "--cap: belongs to --boxes"),
        (("--boxes", "none.json"), 3, "none.json"),
        (("--boxes", "EMPTY"), 3, "it holds no boxes, expected boxes of the images of synthetic-people"),
        (("--boxes", "OTHER"), 3, "expected boxes of the images of synthetic-people (test)"),
    ],
)
def test_what_makes_no_sense_is_one_line(sdnn_run, boxes, tmp_path, capsys, args, code, said):
    other = boxes(lambda listed: [{**b, "image_id": 10**9} for b in listed])
    (empty := tmp_path / "empty.json").write_text("[]")
    given = [{"OTHER": other, "EMPTY": empty}.get(a, a) for a in args]
    results = tmp_path / "results.json"
    assert cli("evaluate", sdnn_run, *given, "--results", results) == code
    assert said in capsys.readouterr().err.splitlines()[-1] and not results.exists()
