"""COCO's figures: published fixtures to the last digit, both engines alike, and files that need mending."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from convert.ir import BadInput
from deploy.pose.evaluation.coco import BOX_STATS, POSE_STATS, Rules, evaluate
from deploy.pose.joints import COCO, CROWDPOSE, sigmas

# datasets.md, section 7: file of truth, file of results, kind, figures as they are published there.
FIXTURES = {
    "xtcocotools example": (
        "xtcocotools/example_coco_val.json", "xtcocotools/example_coco_preds.json", "keypoints", 4,
        [0.8609, 0.9931, 0.9109, 0.7756, 0.9373, 0.875, 1.0, 0.9167, 0.78, 0.9429],
    ),
    "faster_coco_eval": (
        "faster_coco_eval/keypoints_dataset/gt_dataset.json",
        "faster_coco_eval/keypoints_dataset/dt_dataset.json", "keypoints", 5,
        [0.50488, 0.72277, 0.63366, 0.46634, 0.75050, 0.51818, 0.72727, 0.63636, 0.46667, 0.75],
    ),
    "cocoapi boxes": (
        "cocoapi/instances_val2014_100.json", "cocoapi/instances_val2014_fakebbox100_results.json", "bbox", 3,
        [0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564],
    ),
    "cocoapi masks": (
        "cocoapi/instances_val2014_100.json", "cocoapi/instances_val2014_fakesegm100_results.json", "segm", 3,
        [0.320, 0.562, 0.299, 0.387, 0.310, 0.327, 0.268, 0.415, 0.417, 0.469, 0.377, 0.381],
    ),
}  # fmt: skip
ENGINES = ("pycocotools", "faster")


@pytest.fixture(params=ENGINES)
def engine(request):
    if request.param == "faster":
        pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    return request.param


@pytest.fixture
def fixtures(data_root, unpacked):
    archive = data_root("coco-eval-fixtures/coco-eval-fixtures.tar.gz")
    return unpacked(archive, "coco-eval-fixtures/") / "coco-eval-fixtures"


def rounded(figures, names, digits):
    """As they are printed: half of the last digit is what the published figure leaves open."""
    return [round(figures[name], digits) for name in names]


@pytest.mark.data
@pytest.mark.parametrize("name", FIXTURES)
def test_a_fixture_gives_its_published_figures(fixtures, engine, name):
    truth, results, kind, digits, want = FIXTURES[name]
    body, found = (json.loads((fixtures / n).read_text()) for n in (truth, results))
    made = evaluate(body, found, Rules(kind), engine)
    assert rounded(made.figures, POSE_STATS if kind == "keypoints" else BOX_STATS, digits) == want


@pytest.mark.data
def test_crowdpose_gives_its_published_figures(fixtures, engine):
    """As faster_coco_eval asserts them, from faster_coco_eval's own crowd mode; ours are rules around
    either.
    """
    body = json.loads((fixtures / "xtcocotools/example_crowdpose_val.json").read_text())
    found = json.loads((fixtures / "xtcocotools/example_crowdpose_preds.json").read_text())
    made = evaluate(body, found, Rules("keypoints", sigmas(CROWDPOSE), "box", True), engine).figures
    assert rounded(made, ("AP", "AP50", "AP75", "AR", "AR50", "AR75"), 5) == [
        0.78772, 0.98812, 0.73144, 0.82222, 1.0, 0.77778
    ]  # fmt: skip
    assert rounded(made, ("AP easy", "AP medium"), 4) == [1.0, 0.9802]
    assert abs(made["AP hard"] - 0.4116) <= 0.00005 + 1e-12  # published with 4 digits: 0.41155 is on the edge


@pytest.mark.data
def test_the_fake_keypoints_parse(fixtures):
    """Their ground truth has no keypoints, so no figure: 125 results of 47 images are read."""
    from deploy.pose.coco_file import read_results

    people, notes = read_results(
        fixtures / "cocoapi/person_keypoints_val2014_fakekeypoints100_results.json", 17
    )
    assert (sum(map(len, people.values())), len(people), notes) == (125, 47, {})


@pytest.mark.data
def test_wholebody_bodies_are_judged_alike(fixtures):
    pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    body = json.loads((fixtures / "xtcocotools/example_wholebody_val.json").read_text())
    found = json.loads((fixtures / "xtcocotools/example_wholebody_preds.json").read_text())
    ours, theirs = (evaluate(body, found, Rules(), engine).figures for engine in ENGINES)
    assert ours == theirs and 0 < ours["AP"] < 1


@pytest.mark.data
@pytest.mark.parametrize(
    ("part", "crowded"), [("coco/test_coco.json", False), ("crowdpose/test_crowdpose.json", True)]
)
def test_mmposes_samples_give_1_against_themselves(data_root, unpacked, engine, part, crowded):
    """mmpose's own test: 1.0 throughout, -1 for crowds that are not there."""
    folder = unpacked(data_root("mmpose-tests/mmpose-tests.tar.gz"), f"mmpose-tests/{part}") / "mmpose-tests"
    body = json.loads((folder / part).read_text())
    found = [
        {"image_id": a["image_id"], "category_id": 1, "keypoints": a["keypoints"], "score": 1.0}
        for a in body["annotations"]
        if a.get("num_keypoints")
    ]
    rules = Rules("keypoints", sigmas(CROWDPOSE), "box", True) if crowded else Rules()
    made = evaluate(body, found, rules, engine).figures
    if crowded:
        assert (made["AP easy"], made["AP medium"], made["AP hard"]) == (-1, 1, -1)
        assert all(made[n] == 1 for n in ("AP", "AP50", "AP75", "AR", "AR50", "AR75"))
    else:
        assert set(made.values()) == {1.0}


@pytest.mark.data
def test_the_subset_with_repeated_images_is_judged(data_root, tmp_path):
    """538 images listed 2213 times; the truth as prediction is 1 where every person is among the best 20."""
    import gzip

    name = "coco-val2017-person-subset/person_keypoints_val2017_subset538.json.gz"
    body = json.loads(gzip.decompress(data_root(name).read_bytes()))
    found = [
        {"image_id": a["image_id"], "category_id": 1, "keypoints": a["keypoints"], "score": 1.0}
        for a in body["annotations"]
        if a["num_keypoints"]
    ]
    made = evaluate(body, found, Rules())
    assert (made.n_images, made.n_truths, made.n_results) == (538, 1354, 1354)
    assert made.notes == {"image entries listed again: read once": 2213 - 538}
    assert made.figures["AP"] == 1.0 and made.figures["AR"] == 1.0


# --- small files of our own --------------------------------------------------------------------------------


def truth(people=3, joints=COCO, **changes):
    """A COCO body of people in one image each, and the truth as results."""
    draw = np.random.default_rng(0)
    annotations = []
    for n in range(people):
        points = draw.uniform(10, 110, (len(joints), 2)).round(1)
        flat = np.concatenate([points, np.full((len(joints), 1), 2)], axis=1).reshape(-1).tolist()
        annotations.append(
            {"id": n + 1, "image_id": n, "category_id": 1, "keypoints": flat, "num_keypoints": len(joints),
             "bbox": [10, 10, 100, 100], "area": 6000, "iscrowd": 0}
        )  # fmt: skip
    body = {
        "images": [{"id": n, "width": 200, "height": 200, "file_name": f"{n}.jpg"} for n in range(people)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(joints)}],
    }
    found = [
        {"image_id": a["image_id"], "category_id": 1, "keypoints": list(a["keypoints"]), "score": 0.9}
        for a in annotations
    ]
    return body | changes, found


def test_truth_as_prediction_is_1(engine):
    body, found = truth()
    made = evaluate(body, found, Rules(), engine).figures
    assert made["AP"] == 1 and made["AR"] == 1 and made["APl"] == -1  # none is large


def test_inputs_are_not_changed(engine):
    body, found = truth()
    before = copy.deepcopy((body, found))
    evaluate(body, found, Rules(), engine)
    assert (body, found) == before


def test_annotation_id_0_is_one_like_others(engine):
    """Both engines take 0 for 'not matched' and would lose that person."""
    body, found = truth()
    for n, one in enumerate(body["annotations"]):
        one["id"] = n
    assert evaluate(body, found, Rules(), engine).figures["AP"] == 1


def test_sigmas_decide(engine):
    """A shift of 5 pixels is little for wide sigmas and much for narrow ones."""
    body, found = truth()
    for one in found:
        one["keypoints"] = [v + 5 if k % 3 == 0 else v for k, v in enumerate(one["keypoints"])]
    wide, narrow = (
        evaluate(body, found, Rules(sigmas=np.full(17, s)), engine).figures["AP"] for s in (0.2, 0.005)
    )
    assert (wide, narrow) == (1, 0)


def test_other_joint_sets_need_their_sigmas(engine):
    body, found = truth(joints=CROWDPOSE)
    assert evaluate(body, found, Rules(sigmas=sigmas(CROWDPOSE)), engine).figures["AP"] == 1
    with pytest.raises(BadInput, match="14 joints, 17 sigmas"):
        evaluate(body, found, Rules(), engine)


def test_a_file_without_areas_needs_the_rule(engine):
    body, found = truth()
    for one in body["annotations"]:
        del one["area"]
    with pytest.raises(BadInput, match="has no 'area'; with --area box"):
        evaluate(body, found, Rules(), engine)
    assert evaluate(body, found, Rules(area="box"), engine).figures["AP"] == 1


def test_annotations_without_keypoints_are_not_judged(engine):
    body, found = truth()
    del body["annotations"][1]["keypoints"], body["annotations"][1]["num_keypoints"]
    made = evaluate(body, [f for f in found if f["image_id"] != 1], Rules(), engine)
    assert made.figures["AP"] == 1 and made.n_truths == 2
    assert made.notes == {"annotations without keypoints: not judged": 1}


def test_crowds_are_neither_missed_nor_wrong(engine):
    body, found = truth()
    body["annotations"][1] |= {"iscrowd": 1}
    made = evaluate(body, found, Rules(), engine)
    assert made.figures["AP"] == 1 and made.n_truths == 2 and made.notes == {}


def test_no_results_are_0_and_no_truth_is_minus_1(engine):
    body, _ = truth()
    assert evaluate(body, [], Rules(), engine).figures["AP"] == 0
    assert evaluate(body | {"annotations": []}, [], Rules(), engine).figures["AP"] == -1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b, f: b["annotations"][0]["keypoints"].pop(), "keypoints has 50 numbers, expected 51"),
        (lambda b, f: b["annotations"][0].update(image_id=77), "image 77, which 'images' does not list"),
        (lambda b, f: b["annotations"][0].update(id=2), "an annotation id is used twice"),
        (lambda b, f: b["images"].append({"id": 0, "file_name": "other.jpg"}), "image 0 is listed twice"),
        (lambda b, f: b.pop("images"), "has no 'images'"),
        (lambda b, f: b["categories"][0].pop("keypoints"), "0 categories name keypoints"),
        (lambda b, f: b["categories"][0].update(keypoints=[None] * 17), "must be names, each once"),
        (lambda b, f: b["categories"].append({"name": "dog"}), "category number 1: has no 'id'"),
        (lambda b, f: f[0].update(category_id={}), "'category_id' is {}; expected a whole number"),
        (lambda b, f: b["annotations"][0].update(area="big"), "area: is 'big'; expected a number"),
        (lambda b, f: f[0]["keypoints"].append(1.0), "keypoints has 52 numbers, expected 51"),
        (lambda b, f: f[0].update(image_id=99), "image 99, which the ground truth does not list"),
        (lambda b, f: f[0].pop("score"), "score: is None; expected a number"),
        (lambda b, f: f[0].update(score=float("nan")), "not finite"),
        (lambda b, f: f[0]["keypoints"].__setitem__(0, float("nan")), "not finite"),
        (lambda b, f: f[0].pop("keypoints"), "has no 'keypoints'"),
    ],
)
def test_what_cannot_be_judged_is_refused(change, message):
    body, found = truth()
    change(body, found)
    with pytest.raises(BadInput, match=message):
        evaluate(body, found, Rules())


def test_an_unknown_engine_is_refused():
    with pytest.raises(BadInput, match="expected pycocotools or faster"):
        evaluate(*truth(), Rules(), "other")
