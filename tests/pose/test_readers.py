"""Readers of pose data: coordinates, splits, and what bad input becomes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.io

from train.data.errors import DataError
from train.pose.data import images, registry
from train.pose.data.person import hold_out

MMPOSE = "mmpose-tests/mmpose-tests.tar.gz"


def coco(root, split="train", **options):
    return registry.load("coco", root, split, **options)


def test_coco_as_it_should_be(coco_folder):
    found = coco(coco_folder())
    assert [p.id for p in found.people] == [10, 20, 30] and found.dropped == ()
    person = found.people[1]
    np.testing.assert_array_equal(person.xy[:2], [[10, 20], [12, 21]])
    assert person.visibility.tolist() == [2] * 17 and person.weights.tolist() == [1.0] * 17
    assert person.box.tolist() == [8, 18, 40, 30] and person.area == 900.0 and np.isnan(person.head)
    assert images.read(person.image)[0, 0].tolist() == [80, 80, 80]
    assert person.length(found.keypoints) == 40.0  # the longer side of the box


def test_validation_is_whole_images_of_train(coco_folder):
    root = coco_folder(lambda t: t["annotations"].append({**t["annotations"][2], "id": 31}))
    train, held = hold_out(coco(root))
    assert [p.id for p in train.people] == [10, 20] and [p.id for p in held.people] == [30, 31]
    assert [p.id for p in coco(root, "validation").people] == [30, 31]
    assert len(coco(root, "test")) == 4


def test_one_image_alone_cannot_be_parted(coco_folder):
    with pytest.raises(DataError, match="expected at least 2"):
        hold_out(coco(coco_folder(lambda t: t["annotations"].__delitem__(slice(1, None)))))


def edit(**fields):
    return lambda truth: truth["annotations"][0].update(fields)


@pytest.mark.parametrize(
    ("change", "people", "told"),
    [
        (edit(iscrowd=1), [20, 30], "1 crowd regions (first: 10)"),
        (edit(keypoints=[0] * 51), [20, 30], "1 annotations without keypoints (first: 10)"),
        (lambda t: t["annotations"][0].pop("keypoints"), [20, 30], "annotations without keypoints"),
        (edit(image_id=9), [20, 30], "1 annotations whose image is not listed (first: 10)"),
        (edit(id=20), [20, 30], "1 annotations with an id that was there (first: 20)"),
        (lambda t: t["images"].append(dict(t["images"][0])), [10, 20, 30], "1 repeated entries of images"),
        (lambda t: t["images"][0].update(file_name="no.png"), [20, 30], "1 images that are not there"),
        (lambda t: t["images"][0].update(file_name="../x.png"), [20, 30], "name leaves the folder"),
        (edit(bbox=[5, 5, 0, 0]), [10, 20, 30], "empty or outside, replaced by the joints'"),
        (edit(bbox=[900, 5, 20, 20]), [10, 20, 30], "empty or outside, replaced by the joints'"),
        (edit(bbox=[float("nan"), 5, 20, 20]), [10, 20, 30], "empty or outside, replaced by the joints'"),
    ],
)
def test_what_is_useless_is_left_out_and_said(coco_folder, change, people, told):
    found = coco(coco_folder(change))
    assert [p.id for p in found.people] == people
    assert told in "; ".join(found.dropped)
    assert all((p.box[2:] > 0).all() for p in found.people)


def test_junk_of_absent_joints_and_joints_off_the_image(coco_folder):
    keypoints = np.tile([20.0, 20.0, 2.0], (17, 1))
    keypoints[0], keypoints[1], keypoints[2] = (-900, 4, 0), (500, 20, 2), (np.nan, 3, 1)
    person = coco(coco_folder(edit(keypoints=keypoints.reshape(-1).tolist()))).people[0]
    assert person.xy[0].tolist() == [0, 0] and person.visibility[:4].tolist() == [0, 2, 0, 2]
    assert person.weights[:4].tolist() == [0, 0, 0, 1]  # one off the image stays, without a weight


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(keypoints=[1, 1, 2] * 14), "annotation 10: found 42 numbers"),
        (lambda t: t["images"].append({**t["images"][0], "file_name": "other.png"}), "image id 1 of"),
        (lambda t: t["images"].append({**t["images"][0], "width": 70}), r"1\.png again, with another width"),
        (lambda t: t.pop("categories"), "no object with images"),
        (lambda t: t["annotations"].clear(), "no person with keypoints"),
    ],
)
def test_what_contradicts_itself_is_an_error(coco_folder, change, message):
    with pytest.raises(DataError, match=message):
        coco(coco_folder(change))


def test_missing_and_broken_files_are_named(coco_folder, tmp_path):
    with pytest.raises(DataError, match="no readable file"):
        coco(tmp_path / "nowhere")
    root = coco_folder()
    place = root / "annotations" / "person_keypoints_train2017.json"
    place.write_text("{")
    with pytest.raises(DataError, match=f"{place}: found no JSON"):
        coco(root)


def test_an_image_that_does_not_decode_is_named_or_left_out(coco_folder):
    root = coco_folder()
    broken = root / "train2017" / "2.png"
    broken.write_bytes(broken.read_bytes()[:30])
    with pytest.raises(DataError, match=r"2\.png: found 30 bytes that do not decode.*check=true"):
        images.read(coco(root).people[1].image)
    found = coco(root, check=True)
    assert [p.id for p in found.people] == [10, 30]
    assert found.dropped == ("1 images that do not decode (first: 2.png)",)
    broken.write_bytes(b"")
    assert not images.decodes(broken)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": 3}, "unknown option sizes"),
        ({"check": 1}, "option check is 1; expected bool"),
        ({"train_limit": "few"}, "option train_limit is 'few'; expected a number of people"),
        ({"train_limit": -1}, "option train_limit is -1"),
    ],
)
def test_options_are_checked(coco_folder, options, message):
    with pytest.raises(DataError, match=message):
        coco(coco_folder(), **options)


def test_lspet_counts_from_one_and_ignores_junk(lspet_folder):
    train = registry.load("lspet", lspet_folder, "train")
    assert [p.id for p in train.people] == [1, 2]
    assert train.dropped == (
        "1997 annotations without an image (first: im00004.jpg)",
        "1 images without a visible joint (first: im00003.jpg)",
    )
    first = train.people[0]
    assert first.xy[:2].tolist() == [[0, 0], [30, 20]] and first.visibility[:2].tolist() == [0, 2]
    assert first.box.tolist() == [17, 7, 16, 36]  # joints span 10 x 30, grown by 3 on every side
    assert first.length(train.keypoints) == pytest.approx(np.hypot(0, 30))
    assert [p.id for p in registry.load("lspet", lspet_folder, "test").people] == [2001, 2500]
    whole = registry.load("lspet", lspet_folder, "test", boxes="image").people[0]
    assert whole.box.tolist() == [0, 0, 64, 48]


def test_lspet_that_is_none(tmp_path):
    with pytest.raises(DataError, match=r"no joints\.mat"):
        registry.load("lspet", tmp_path, "train")
    (tmp_path / "joints.mat").write_bytes(b"MATLAB 5.0 but no more")
    with pytest.raises(DataError, match="no readable MATLAB file"):
        registry.load("lspet", tmp_path, "train")
    scipy.io.savemat(tmp_path / "joints.mat", {"joints": np.zeros((14, 3))})  # of one image: two axes
    with pytest.raises(DataError, match=r"joints of shape \(14, 3\); expected \(14, 3, images\)"):
        registry.load("lspet", tmp_path, "train")


def test_train_limit_leaves_the_test_split_whole(lspet_folder):
    assert len(registry.load("lspet", lspet_folder, "train", train_limit=1)) == 1
    assert len(registry.load("lspet", lspet_folder, "test", train_limit=1)) == 2


@pytest.mark.parametrize(("kind", "ids"), [("images", (1, 2, 3)), ("annotations", (10, 20, 30))])
def test_an_id_in_two_files_of_posetrack18_is_refused(coco_folder, coco_truth, tmp_path, kind, ids):
    """As where poses are judged: two people, or two frames, of one id would become one."""
    root, folder = coco_folder(), tmp_path / "annotations" / "val"
    folder.mkdir()

    def write(name, moved):
        truth = coco_truth()
        for image in truth["images"]:
            image |= {"id": image["id"] + moved["images"], "file_name": f"val2017/{image['file_name']}"}
        for annotation in truth["annotations"]:
            annotation["id"] += moved["annotations"]
            annotation["image_id"] += moved["images"]
        (folder / name).write_text(json.dumps(truth))

    write("a.json", {"images": 0, "annotations": 0})
    write("b.json", {"images": 100, "annotations": 100})
    assert len(registry.load("posetrack18", root, "test")) == 6
    write("b.json", {"images": 100, "annotations": 100, kind: 0})
    with pytest.raises(DataError, match=rf"b\.json: found {kind} with id {ids[0]}, which a\.json has too"):
        registry.load("posetrack18", root, "test")


def mpii(tmp_path, **fields):
    entry = {
        "image": "1.png", "center": [41.0, 31.0], "scale": 0.2, "joints": [[11.0, 21.0]] * 16,
        "joints_vis": [1] * 16, **fields,
    }  # fmt: skip
    entry["joints"] = [list(j) for j in entry["joints"]]
    (tmp_path / "annotations").mkdir(exist_ok=True)
    (tmp_path / "annotations" / "train.json").write_text(json.dumps([entry]))
    return registry.load("mpii", tmp_path, "train", images="train2017")


def test_mpii_counts_from_one(coco_folder, tmp_path):
    coco_folder()
    joints = [[11.0, 21.0]] * 16
    joints[9] = [11.0, 6.0]  # head top, 15 above the neck
    person = mpii(tmp_path, joints=joints, joints_vis=[0] + [1] * 15).people[0]
    assert person.xy[:2].tolist() == [[0, 0], [10, 20]] and person.head == 15.0
    assert person.box.tolist() == [20, 10, 40, 40]


def test_mpii_of_another_form_is_refused(coco_folder, tmp_path):
    coco_folder()
    with pytest.raises(DataError, match="person 0: found joints"):
        mpii(tmp_path, joints=[[1.0, 1.0]] * 14)
    with pytest.raises(DataError, match="no person with an image"):
        mpii(tmp_path, image="gone.png")
    assert "empty, replaced" in mpii(tmp_path, scale=-1.0).dropped[0]


def test_synthetic_people_are_the_same_every_time(drawn):
    again = registry.load("synthetic-people", None, "train", train=2)
    for a, b in zip(drawn.people, again.people, strict=False):
        np.testing.assert_array_equal(a.xy, b.xy)
        np.testing.assert_array_equal(images.read(a.image), images.read(b.image))
    assert len(drawn.truth["annotations"]) == len(drawn) > 12
    with pytest.raises(DataError, match="expected none, the data is generated"):
        registry.load("synthetic-people", ".", "train")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "packed", "folder", "split", "options", "people"),
    [
        ("lspet", "lspet/lspet_first2500.zip", "lspet", "test", {}, 500),
        ("coco", "coco-mini/coco-mini.zip", "coco-mini", "train", {}, 86),
        ("coco", "coco-mini/coco-mini.zip", "coco-mini", "test", {}, 68),
        ("posetrack18", MMPOSE, "mmpose-tests/posetrack18", "test", {"check": True}, 14),
        ("crowdpose", MMPOSE, "mmpose-tests/crowdpose", "test",
         {"annotations": "test_crowdpose.json"}, 4),
        ("mpii", MMPOSE, "mmpose-tests/mpii", "test", {"annotations": "test_mpii.json"}, 5),
    ],
)  # fmt: skip
def test_real_files(unpacked, name, packed, folder, split, options, people):
    """Counts of datasets.md: what the files hold less what has no keypoints."""
    found = registry.load(name, unpacked(packed) / folder, split, **options)
    assert len(found) == people
    assert images.read(found.people[0].image).ndim == 3
    assert all((p.box[2:] > 0).all() and np.isfinite(p.xy).all() for p in found.people)
