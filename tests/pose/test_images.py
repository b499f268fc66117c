"""Images and their entries: one rule for whoever reads them, in training and beside it."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from convert.ir import BadInput
from deploy.pose import annotations
from deploy.pose.boxes import read_image
from deploy.pose.footage import Folder
from deploy.pose.frame_ids import frame_ids
from train.data.errors import DataError
from train.pose.data import images, registry


def turned(orientation):
    """A JPEG, 48 wide and 32 high, red on its left half, whose tag says how it is to be shown."""
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, :24, 2] = 255
    content = cv2.imencode(".jpg", picture)[1].tobytes()
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0])  # tag 0x0112, one short
    tiff = b"II*\x00\x08\x00\x00\x00" + b"\x01\x00" + entry + b"\x00\x00\x00\x00"
    body = b"Exif\x00\x00" + tiff
    return content[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + content[2:]


def test_the_orientation_tag_is_ignored_by_all(tmp_path):
    (tmp_path / "1.jpg").write_bytes(turned(6))
    shown = cv2.imread(str(tmp_path / "1.jpg"))  # who follows the tag turns it: the file does have one
    assert shown.shape == (48, 32, 3)
    trained = images.read(tmp_path / "1.jpg")
    deployed = read_image(tmp_path / "1.jpg")
    frame = next(iter(Folder(tmp_path, 15.0))).image
    assert trained.shape == (32, 48, 3) and images.size(tmp_path / "1.jpg") == (48, 32)
    assert (trained[:, :20, 0] > 200).all() and (trained[:, 28:, 0] < 50).all()
    np.testing.assert_array_equal(deployed, trained[..., ::-1])
    np.testing.assert_array_equal(frame, deployed)


def readers(root):
    """Whoever reads the images of an annotation file -> how many there are."""
    path = root / "annotations" / "person_keypoints_train2017.json"
    video = SimpleNamespace(path=root, names=(), frames=3)
    return {
        "training": lambda: len({p.image_id for p in registry.load("coco", root, "train").people}),
        "annotations": lambda: len(annotations.read(path).frames),
        "frames": lambda: len(frame_ids(path, video).found),
    }


@pytest.mark.parametrize("name", ["training", "annotations", "frames"])
def test_an_image_listed_again_is_read_once_or_refused(coco_folder, name):
    root = coco_folder(lambda truth: truth["images"].append(dict(truth["images"][0])))
    assert readers(root)[name]() == 3
    root = coco_folder(lambda truth: truth["images"].append({**truth["images"][0], "width": 70}))
    with pytest.raises((BadInput, DataError), match=r"again, with another width|is listed twice"):
        readers(root)[name]()


def test_an_image_listed_again_is_counted(coco_folder):
    root = coco_folder(lambda truth: truth["images"].append(dict(truth["images"][0])))
    assert registry.load("coco", root, "train").dropped == ("1 repeated entries of images (first: 1.png)",)
    notes = Counter(annotations.read(root / "annotations" / "person_keypoints_train2017.json").notes)
    assert notes["image entries listed again: read once"] == 1
