"""mmpose's own expectations of its COCO sample: rescoring and OKS-NMS, to the digits it prints."""

from __future__ import annotations

import json

import numpy as np
import pytest

from deploy.pose.evaluation.coco import Rules, evaluate
from deploy.pose.joints import COCO, sigmas
from deploy.pose.nms import oks_nms, rescored

# Of the scores seven are equal but for float32 rounding, and mmpose's sort takes the last of equals first;
# both are followed here, for AP hangs on their order.
FIGURES = [
    0.5287458745874587, 0.9042904290429042, 0.5009900990099009, 0.42475247524752474, 0.6219554455445544,
    0.5833333333333333, 0.9166666666666666, 0.5833333333333334, 0.44000000000000006, 0.6857142857142857,
]  # fmt: skip


@pytest.fixture
def body(data_root, unpacked):
    part = "mmpose-tests/coco/test_coco.json"
    return json.loads((unpacked(data_root("mmpose-tests/mmpose-tests.tar.gz"), part) / part).read_text())


@pytest.fixture(params=["pycocotools", "faster"])
def engine(request):
    if request.param == "faster":
        pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    return request.param


def summed_in_float32(joint_scores):
    """The mean above 0.2 as a loop over float32 gives it."""
    counted = [s for s in joint_scores if s > 0.2]
    return sum(counted, np.float32(0)) / len(counted) if counted else np.float32(0)


def predictions(body):
    """(image, id, table [17, 3], score, area) of every annotation, changed as mmpose's test does."""
    for a in body["annotations"]:
        factors, box_score = (0.98, 1.02, 0.8), 0.98
        table = np.array(a["keypoints"], np.float32).reshape(17, 3) * np.array(factors, np.float32)
        score = np.float32(box_score) * summed_in_float32(table[:, 2])
        assert score == pytest.approx(rescored(np.array([box_score]), table[None, :, 2])[0], abs=1e-5)
        yield a["image_id"], a["id"], table, float(score), a["bbox"][2] * a["bbox"][3] * 1.25**2


def judged(body, found, engine):
    """COCO's figures of what OKS-NMS keeps of each image."""
    kept = []
    for image in dict.fromkeys(one[0] for one in found):
        here = sorted((one for one in found if one[0] == image), key=lambda one: -one[1])
        table = np.stack([one[2] for one in here]).astype(float)
        poses = table[..., :2], np.ones(table.shape[:2], bool), np.array([one[4] for one in here])
        kept += [
            {"image_id": image, "score": here[n][3], "keypoints": here[n][2].reshape(-1).tolist()}
            for n in oks_nms(poses, np.array([one[3] for one in here]), sigmas(COCO), 0.9)
        ]
    return list(evaluate(body, kept, Rules(), engine).figures.values())


@pytest.mark.data
def test_oks_nms(body, engine):
    """The truth at (0.98 x, 1.02 y), joint scores 0.8 v, boxes 0.98."""
    made = judged(body, list(predictions(body)), engine)
    assert made == pytest.approx(FIGURES, abs=1e-7)  # as its own test compares
