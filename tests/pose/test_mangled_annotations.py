"""Annotation files with anything in any place: people, or one line that says what is wrong."""

from __future__ import annotations

import copy
import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.data.errors import DataError
from train.pose.crops import plain
from train.pose.data import registry
from train.pose.recipe import PoseRecipe

JUNK = (
    None, True, 0, -1, 3, 10**400, 0.5, 1e308, float("nan"), float("inf"), "", "wide", "1", "../x", "\0",
    "x" * 999, [], [1], ["a"], [[1, 2], [3]], [[1, 2], [3, 4]], {}, {"a": 1}, [None] * 4, [1, 2, 3, "4"],
    "abcd", [0] * 4, [1e308] * 4,
)  # fmt: skip
ABSENT = object()


def mpii_truth(_):
    person = {
        "image": "1.png",
        "center": [41.0, 31.0],
        "scale": 0.2,
        "joints": [[11.0, 21.0]] * 16,
        "joints_vis": [1] * 16,
    }
    return [copy.deepcopy(person) for _ in range(3)]


def posetrack_truth(coco_truth):
    truth = coco_truth()
    for image in truth["images"]:
        image |= {"vid_id": "000001", "is_labeled": True, "frame_id": image["id"]}
    for annotation in truth["annotations"]:
        annotation |= {"bbox_head": [10, 20, 8, 8], "track_id": 0}
        del annotation["area"]
    return truth


READERS = {
    "coco": (lambda coco_truth: coco_truth(), "annotations/person_keypoints_train2017.json"),
    "crowdpose": (lambda coco_truth: coco_truth(14), "json/crowdpose_train.json"),
    "posetrack18": (posetrack_truth, "annotations/train/a.json"),
    "mpii": (mpii_truth, "annotations/train.json"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("mangled")
    for place in ("", "images", "train2017"):
        (root / place).mkdir(exist_ok=True)
        for number in (1, 2, 3):
            cv2.imwrite(str(root / place / f"{number}.png"), np.full((60, 80, 3), 90, np.uint8))
    return root


def places(value, at=()):
    """Every place of a JSON value: keys and indices on the way to it."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*at, key))


def mangled(truth, at, junk):
    """The value with something else, or nothing, at a place that may be gone already."""
    if not at:
        return junk if junk is not ABSENT else {}
    try:
        owner = truth
        for key in at[:-1]:
            owner = owner[key]
        if junk is ABSENT:
            del owner[at[-1]]
        else:
            owner[at[-1]] = junk
    except (TypeError, KeyError, IndexError):
        pass
    return truth


def load(name, folder, truth):
    place = folder / READERS[name][1]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(truth))
    return registry.load(name, folder, "train")


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=100)
@given(data=st.data())
def test_anything_is_people_or_one_line(folder, coco_truth, name, data):
    truth = READERS[name][0](coco_truth)
    every = list(places(truth))
    # Shallow places too: most of the tree are single coordinates.
    where = st.sampled_from(every) | st.sampled_from([at for at in every if len(at) <= 3])
    for at, junk in data.draw(
        st.lists(st.tuples(where, st.sampled_from([*JUNK, ABSENT])), min_size=1, max_size=3)
    ):
        truth = mangled(truth, at, junk if junk is ABSENT else copy.deepcopy(junk))
    try:
        found = load(name, folder, truth)
    except DataError as error:
        assert "\n" not in str(error) and len(str(error)) < 700
        return
    for person in found.people:
        assert np.isfinite(person.box).all() and (person.box[2:] > 0).all() and np.isfinite(person.xy).all()
    x, joints, _ = plain(found.people, PoseRecipe(width=32, height=32))
    assert np.isfinite(x).all() and np.isfinite(joints).all()


def annotation(**fields):
    return lambda truth: truth["annotations"][1].update(fields)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("coco", annotation(id=[1]), r"annotation number 1: found id \[1\]; expected a whole number"),
        ("coco", annotation(image_id=[1]), r"annotation 20: found image_id \[1\]"),
        ("coco", annotation(bbox="abcd"), "annotation 20: found bbox 'abcd'; expected 4 numbers"),
        ("coco", annotation(bbox=["a", "b", "c", "d"]), "annotation 20: found bbox"),
        ("coco", annotation(bbox=[[1, 2], [3]]), "annotation 20: found bbox"),
        ("coco", annotation(bbox=[1, 2, 3]), "annotation 20: found bbox"),
        ("coco", annotation(area="large"), "annotation 20: found area 'large'; expected a number"),
        (
            "coco",
            lambda t: t["images"][1].update(width="wide"),
            "annotation 20: its image: found width 'wide'",
        ),
        ("coco", lambda t: t["images"][1].update(id=[2]), r"found image id \[2\]"),
        ("coco", lambda t: t["annotations"].append(7), "found annotations: 7 at place 3; expected objects"),
        ("crowdpose", annotation(bbox=[1, 2]), "annotation 20: found bbox"),
        ("posetrack18", annotation(bbox_head="head"), "annotation 20: found bbox_head 'head'"),
        ("posetrack18", annotation(bbox=[1, 2, 3]), "annotation 20: found bbox"),
        ("mpii", lambda t: t[1].update(joints="joints"), "person 1: found joints"),
        (
            "mpii",
            lambda t: t[1].update(joints_vis=None),
            "person 1: found joints_vis None; expected 16 numbers",
        ),
        ("mpii", lambda t: t[1].update(scale=None), "person 1: found scale None; expected a number"),
        (
            "mpii",
            lambda t: t[1].update(center="middle"),
            "person 1: found center 'middle'; expected 2 numbers",
        ),
        ("mpii", lambda t: t[1].update(image=5), "person 1: found image 5; expected the name of a file"),
    ],
)
def test_a_value_of_another_type_is_named(folder, coco_truth, name, change, message):
    truth = READERS[name][0](coco_truth)
    change(truth)
    with pytest.raises(DataError, match=message):
        load(name, folder, truth)


def test_an_area_of_null_is_none(folder, coco_truth):
    truth = coco_truth()
    truth["annotations"][1]["area"] = None
    found = load("coco", folder, truth)
    assert [np.isnan(p.area) for p in found.people] == [False, True, False]


def test_nested_too_deeply(folder):
    (folder / "annotations" / "person_keypoints_train2017.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="found no JSON"):
        registry.load("coco", folder, "train")
