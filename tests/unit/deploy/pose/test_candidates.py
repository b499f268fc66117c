"""Likeness, suppression, rescoring, detectors, the greedy rule and its recall."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import BadInput
from deploy.pose.boxes import FileDetector, HogDetector, read_image
from deploy.pose.coco_file import Boxes, box_results, write_results
from deploy.pose.evaluation.coco import Rules, evaluate
from deploy.pose.greedy import GREEDY, PLAIN, Rule, chosen
from deploy.pose.joints import COCO, CROWDPOSE, LSPET, MPII, POSETRACK18, SETS, judged, set_of, sigmas
from deploy.pose.nms import box_nms, iou, oks_nms, rescored
from deploy.pose.oks import oks, pairwise, stacked
from deploy.pose.people import Frame, Person
from deploy.pose.recall import THRESHOLDS, csv, curve
from deploy.pose.recall_drawing import svg
from deploy.pose.regions import inside


def person(draw, at, joints=17, noise=0.0, size=100.0):
    shape = np.random.default_rng(5).uniform(0, size, (joints, 2))
    points = shape + at + draw.normal(0, noise, (joints, 2)) if noise else shape + np.asarray(at, float)
    return Person(points, np.full(joints, 2, np.int8), box=np.array([*at, size, size], float))


def test_sigmas_are_the_published_ones():
    assert sigmas(COCO).tolist() == [
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087,
        0.087, 0.089, 0.089,
    ]  # fmt: skip
    assert sigmas(CROWDPOSE).tolist() == [
        0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079, 0.079
    ]  # fmt: skip
    assert [len(s.joints) for s in SETS.values()] == [17, 14, 17, 14, 16]
    assert set_of(LSPET) is SETS["lspet"] and set_of(MPII[::-1]) is None
    with pytest.raises(BadInput, match="joint 'tail' has no OKS sigma"):
        sigmas(["left_wrist", "tail"])
    assert len(judged(POSETRACK18)) == 15 and len(judged(COCO)) == 17
    spelt = [name.replace("_", " ").title() for name in POSETRACK18]
    assert spelt[5] == "Left Shoulder" and set_of(spelt) is SETS["posetrack18"] and len(judged(spelt)) == 15
    assert np.array_equal(sigmas(spelt), sigmas(POSETRACK18))


def test_oks_by_hand():
    """One joint off by d: exp(-d^2 / (2 area (2 sigma)^2)); at d = 2 sigma sqrt(area) that is exp(-1/2)."""
    p, q = np.zeros((2, 2)), np.zeros((2, 2))
    q[1, 0] = 2 * 0.1 * 30.0
    assert oks(p, q, np.array(900.0), np.array([0.1, 0.1])) == pytest.approx(
        (1 + np.exp(-0.5)) / 2, abs=1e-12
    )
    only = oks(p, q, np.array(900.0), np.array([0.1, 0.1]), np.array([False, True]))
    assert only == pytest.approx(np.exp(-0.5), abs=1e-12)
    assert oks(p, q, np.array(900.0), np.array([0.1, 0.1]), np.array([False, False])) == 0


def test_oks_against_ground_truth_is_pycocotools():
    """A single person's OKS, read off pycocotools through its AP: right at every threshold below it."""
    draw = np.random.default_rng(1)
    one, other = person(draw, (10, 10)), person(draw, (10, 10), noise=4.0)
    body = {
        "images": [{"id": 1}], "categories": [{"id": 1, "name": "person", "keypoints": list(COCO)}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 100, 100], "area": 4000,
                         "keypoints": np.c_[one.keypoints, np.full(17, 2)].reshape(-1).tolist()}],
    }  # fmt: skip
    found = [
        {"image_id": 1, "keypoints": np.c_[other.keypoints, np.ones(17)].reshape(-1).tolist(), "score": 1.0}
    ]
    alike = float(oks(one.keypoints, other.keypoints, np.array(4000.0), sigmas(COCO)))
    thresholds = np.arange(10) * 0.05 + 0.5
    assert 0.5 < alike < 0.95
    assert evaluate(body, found, Rules()).figures["AP"] == pytest.approx(
        (thresholds <= alike).mean(), abs=1e-12
    )


def test_oks_is_symmetric_and_1_for_the_same():
    draw = np.random.default_rng(2)
    people = stacked([person(draw, (x, 0), noise=3) for x in (0, 5, 60)], 17)
    alike = pairwise(*people, people, sigmas(COCO))
    assert np.allclose(alike, alike.T, atol=1e-15) and np.array_equal(np.diag(alike), np.ones(3))
    assert alike[0, 1] > alike[0, 2]


def test_iou_by_hand_and_empty_boxes():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [20, 20, 5, 5], [3, 3, 0, 0]], float)
    want = np.eye(4)
    want[0, 1] = want[1, 0] = 50 / 150
    want[3, 3] = 0
    assert np.allclose(iou(boxes, boxes), want, atol=1e-15)
    assert iou(boxes[:0], boxes).shape == (0, 4)


def test_box_nms_keeps_what_opencv_keeps():
    cv2 = pytest.importorskip("cv2", reason="opencv is not installed")
    draw = np.random.default_rng(0)
    boxes = np.concatenate([draw.uniform(0, 200, (300, 2)), draw.uniform(20, 80, (300, 2))], axis=1)
    scores = draw.permutation(300) / 300 + 0.001
    for most in (0.3, 0.5, 0.8):
        kept = box_nms(boxes, scores, most)
        assert kept.tolist() == list(map(int, cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, most)))
        assert 0 < len(kept) < 300


def test_oks_nms_takes_doubles_and_leaves_neighbours():
    draw = np.random.default_rng(0)
    people = [person(draw, (0, 0)), person(draw, (2, 0)), person(draw, (90, 0))]
    scores = np.array([0.8, 0.9, 0.1])
    assert oks_nms(stacked(people, 17), scores, sigmas(COCO), 0.5).tolist() == [1, 2]
    assert oks_nms(stacked([], 17), np.zeros(0), sigmas(COCO), 0.5).tolist() == []


def test_equal_scores_go_by_order():
    boxes = np.tile([0.0, 0, 10, 10], (3, 1))
    assert box_nms(boxes, np.full(3, 0.5), 0.5).tolist() == [0]
    assert box_nms(boxes, np.full(3, 0.5), 1.0).tolist() == [0, 1, 2]


def test_rescoring_by_hand():
    joints = np.array([[0.9, 0.5, 0.1], [0.1, 0.2, 0.0]])
    assert rescored(np.array([0.5, 1.0]), joints, 0.2).tolist() == [0.5 * 0.7, 0.0]


def test_the_even_odd_rule():
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)
    points = np.array([[5, 5], [15, 5], [-1, 5], [5, 11], [9.99, 9.99]])
    assert inside(points, square).tolist() == [True, False, False, False, True]
    notch = np.array([[0, 0], [10, 0], [10, 10], [5, 2], [0, 10]], float)
    assert inside(np.array([[5, 8], [1, 5]]), notch).tolist() == [False, True]
    assert not inside(points, square[:2]).any()


# --- candidates --------------------------------------------------------------------------------------------


def pile():
    """Three people, two of whom overlap by more than half; the hidden one scores low; doubles and noise."""
    people = np.array([[0, 0, 40, 100], [12, 0, 40, 100], [200, 0, 40, 100]], float)
    boxes = np.concatenate([people, people[:1] + np.array([1, 1, 0, 0]), [[100, 0, 40, 40]]])
    return people, Boxes(boxes[[0, 2, 3, 1, 4]], np.array([0.9, 0.8, 0.7, 0.3, 0.1]))


def frame(people, image_id=1):
    none = np.zeros((17, 2)), np.zeros(17, np.int8)
    return Frame(image_id, tuple(Person(*none, box=box) for box in people))


def test_the_greedy_rule_keeps_whom_the_plain_one_loses():
    people, some = pile()
    assert len(chosen(some, PLAIN)) == 2
    kept = chosen(some, GREEDY)
    curves = [
        curve(n, [frame(people)], {1: b}) for n, b in (("plain", chosen(some, PLAIN)), ("greedy", kept))
    ]
    assert curves[0].at(0.5, 99) == pytest.approx(2 / 3) and curves[1].at(0.5, 99) == 1
    assert len(kept) == 4  # the double of the first is gone: IoU 0.94 is above 0.8


def test_every_parameter_of_the_rule_does_its_part():
    _, some = pile()
    assert len(chosen(some, Rule(0.0, 1.0))) == 5
    assert len(chosen(some, Rule(0.75, 1.0))) == 2
    assert chosen(some, Rule(0.0, 1.0, cap=1)).scores.tolist() == [0.9]
    bigger = chosen(some, Rule(0.0, 1.0, cap=1, enlarge=1.5)).boxes
    assert bigger.tolist() == [[-10.0, -25.0, 60.0, 150.0]]
    assert len(chosen(some.taken(np.zeros(0, int)), GREEDY)) == 0


def test_recall_grows_with_candidates_and_falls_with_the_threshold():
    draw = np.random.default_rng(3)
    frames, found = [], {}
    for image in range(20):
        people = np.c_[draw.uniform(0, 300, (4, 2)), draw.uniform(40, 80, (4, 2))]
        others = np.c_[draw.uniform(0, 300, (6, 2)), np.full((6, 2), 50)]
        boxes = np.concatenate([people + draw.normal(0, 6, (4, 4)), others])
        frames.append(frame(people, image))
        found[image] = Boxes(boxes[draw.permutation(10)], np.linspace(1, 0.1, 10))
    made = curve("x", frames, found)
    assert (np.diff(made.recall, axis=1) >= 0).all() and (np.diff(made.recall, axis=0) <= 0).all()
    assert made.recall.shape == (len(THRESHOLDS), 10) and 0 < made.at(0.75, 10) < made.at(0.5, 10)
    assert made.candidates.tolist() == list(range(1, 11)) and made.n_people == 80


def test_a_candidate_finds_one_person():
    twins = np.array([[0, 0, 40, 100], [2, 0, 40, 100]], float)
    one = curve("x", [frame(twins)], {1: Boxes(twins[:1], np.ones(1))})
    assert one.at(0.5, 1) == 0.5
    two = curve("x", [frame(twins)], {1: Boxes(twins, np.ones(2))})
    assert two.recall[0].tolist() == [0.5, 1.0]


def test_crowds_are_nobody_and_nobody_is_refused():
    none = np.zeros((17, 2)), np.zeros(17, np.int8)
    crowd = Frame(1, (Person(*none, box=np.array([0.0, 0, 9, 9]), crowd=True),))
    with pytest.raises(BadInput, match="no image has a person with a box"):
        curve("x", [crowd], {})
    people, some = pile()
    assert curve("x", [crowd, frame(people, 2)], {1: some, 2: some}).n_people == 3
    assert curve("x", [frame(people)], {}).recall.tolist() == [[0.0]] * 10


def test_the_curve_as_csv_and_svg():
    from xml.etree import ElementTree

    people, some = pile()
    curves = [curve("all", [frame(people)], {1: some}), curve("a<b", [frame(people)], {1: some})]
    lines = csv(curves).splitlines()
    assert lines[0].startswith("boxes,rank,candidates,recall@0.5") and len(lines) == 1 + 2 * 5
    assert lines[5].split(",")[:4] == ["all", "5", "5.0000", "1.000000"]
    drawn = ElementTree.fromstring(svg(curves, 0.5))
    assert len([e for e in drawn.iter() if e.tag.endswith("polyline")]) == 2


# --- detectors ---------------------------------------------------------------------------------------------


def test_boxes_of_a_file_by_image(tmp_path):
    _, some = pile()
    write_results(tmp_path / "b.json", box_results({1: some}))
    detector = FileDetector(tmp_path / "b.json")
    assert np.array_equal(detector.find(1).boxes, some.boxes) and len(detector.find(2)) == 0


def test_hog_runs_the_same_twice_and_needs_an_image():
    pytest.importorskip("cv2", reason="opencv is not installed")
    draw = np.random.default_rng(0)
    image = np.full((256, 256, 3), 200, np.uint8)
    image[40:220, 110:150] = draw.integers(0, 80, (180, 40, 3))
    detector = HogDetector(least=-1.5)
    first, second = detector.find(1, image), detector.find(1, image)
    assert len(first) > 0 and np.array_equal(first.boxes, second.boxes)
    assert ((first.scores > 0) & (first.scores < 1)).all() and (np.diff(first.scores) <= 0).all()
    assert np.allclose(first.boxes[:, 3] / first.boxes[:, 2], 2, atol=0.05)  # 64 x 128 windows, cut alike
    assert first.boxes[:, 3].min() == pytest.approx(0.8 * 128)
    assert len(detector.find(1, image[:60])) == 0 and len(detector.find(1, image[:, :63])) == 0
    assert detector.notes == {"images smaller than HOG's window, 64x128, in which it finds nobody": 2}
    with pytest.raises(BadInput, match="needs the image itself"):
        detector.find(1, None)


def test_images_that_do_not_decode_are_refused(tmp_path):
    pytest.importorskip("cv2", reason="opencv is not installed")
    for content in (b"", b"not an image"):
        (tmp_path / "x.jpg").write_bytes(content)
        with pytest.raises(BadInput, match="does not decode"):
            read_image(tmp_path / "x.jpg")
    with pytest.raises(BadInput, match="no such image"):
        read_image(tmp_path / "y.jpg")
