"""mmpose's own expectations of its COCO sample: rescoring and OKS-NMS, hard and soft, to the digits it
prints.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from deploy.pose.evaluation.coco import Rules, evaluate
from deploy.pose.joints import COCO, sigmas
from deploy.pose.nms import oks_nms, rescored, soft_oks_nms

# Of the scores seven are equal but for float32 rounding, and mmpose's sort takes the last of equals first;
# both are followed here, for AP hangs on their order.
HARD = [
    0.5287458745874587, 0.9042904290429042, 0.5009900990099009, 0.42475247524752474, 0.6219554455445544,
    0.5833333333333333, 0.9166666666666666, 0.5833333333333334, 0.44000000000000006, 0.6857142857142857,
]  # fmt: skip
SOFT = [
    0.17073707370737073, 0.25055005500550054, 0.10671067106710669, 0.0, 0.29315181518151806,
    0.2416666666666666, 0.3333333333333333, 0.16666666666666666, 0.0, 0.41428571428571426,
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


def predictions(body, changes):
    """(image, id, table [17, 3], score, area) of every annotation under each change = (place, x, y, v, box
    score).
    """
    for place, a in enumerate(body["annotations"]):
        for extra, change in enumerate(changes):
            *factors, box_score = change(place)
            table = np.array(a["keypoints"], np.float32).reshape(17, 3) * np.array(factors, np.float32)
            score = np.float32(box_score) * summed_in_float32(table[:, 2])
            assert score == pytest.approx(rescored(np.array([box_score]), table[None, :, 2])[0], abs=1e-5)
            yield a["image_id"], a["id"] + extra, table, float(score), a["bbox"][2] * a["bbox"][3] * 1.25**2


def judged(body, found, choose, engine):
    """COCO's figures of what `choose(poses, scores)` keeps of each image."""
    kept = []
    for image in dict.fromkeys(one[0] for one in found):
        here = sorted((one for one in found if one[0] == image), key=lambda one: -one[1])
        table = np.stack([one[2] for one in here]).astype(float)
        poses = table[..., :2], np.ones(table.shape[:2], bool), np.array([one[4] for one in here])
        kept += [
            {"image_id": image, "score": here[n][3], "keypoints": here[n][2].reshape(-1).tolist()}
            for n in choose(poses, np.array([one[3] for one in here]))
        ]
    return list(evaluate(body, kept, Rules(), engine).figures.values())


@pytest.mark.data
def test_hard_oks_nms(body, engine):
    """The truth at (0.98 x, 1.02 y), joint scores 0.8 v, boxes 0.98."""
    found = list(predictions(body, [lambda _: (0.98, 1.02, 0.8, 0.98)]))
    made = judged(body, found, lambda poses, scores: oks_nms(poses, scores, sigmas(COCO), 0.9), engine)
    assert made == pytest.approx(HARD, abs=1e-7)  # as its own test compares


@pytest.mark.data
def test_soft_oks_nms(body, engine):
    """Two poses a person, drawn apart by 1 % of the image a person; soft OKS-NMS keeps all and orders
    them.
    """
    changes = [
        lambda i: (1 - i / 100, 1 + i / 100, 1 - i / 100, 1.0),
        lambda i: (1 + i / 100, 1 - i / 100, 1 - 2 * i / 100, 1 - 2 * i / 100),
    ]
    found = list(predictions(body, changes))
    made = judged(body, found, lambda p, s: soft_oks_nms(p, s, sigmas(COCO), 0.9, 20)[0], engine)
    assert made == pytest.approx(SOFT, abs=1e-7)
