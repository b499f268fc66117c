"""Keypoint R-CNN: labels in the frame, losses that fall, a resume bit for bit, people where they are."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from train import checkpoint
from train.data.errors import DataError
from train.pose.backbones.registry import trunk
from train.pose.config import PoseConfig
from train.pose.data import images, registry
from train.pose.data.person import PoseSet
from train.pose.predict import judged
from train.pose.rcnn.course import assigned, gather
from train.pose.rcnn.detector import Choice, Found, PeopleDetector
from train.pose.rcnn.frames import IGNORED, NOTHING, PERSON, augmented, plain, truth
from train.pose.rcnn.model import KeypointRCNN, KeypointRCNNConfig
from train.pose.rcnn.objective import PeopleObjective
from train.pose.rcnn.recipe import SceneRecipe
from train.pose.rcnn.regions import ratio_consistent, to_region
from train.pose.rcnn.scenes import scenes, spread
from train.pose.training import fit
from train.processes import ALONE
from train.trainer import SettingsError

RECIPE = SceneRecipe(width=128, height=96, roi_width=48, roi_height=64)
STILL = replace(RECIPE, scale=0.0, shift=0.0, mirror=0.0, colour=0.0)
SETTINGS = {
    "backbone": "tiny", "channels": 16, "anchors": [0.0, 24.0, 48.0, 96.0], "cells": 3,
    "hidden": 16, "depth": 1,
}  # fmt: skip
CONFIG = PoseConfig(model="keypoint-rcnn", epochs=2, batch=4, threads=1, model_settings=SETTINGS)


class Stop(Exception):
    pass


def network(**settings):
    torch.manual_seed(0)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in {**SETTINGS, **settings}.items()}
    return KeypointRCNN(KeypointRCNNConfig(**values))


def batch(found, recipe=STILL):
    x, labels, _ = plain(found, recipe)
    return torch.from_numpy(x), torch.from_numpy(labels)


@pytest.fixture(scope="module")
def straight(drawn, tmp_path_factory):
    run = tmp_path_factory.mktemp("people") / "run"
    fit(CONFIG, RECIPE, drawn, run, progress=False)
    return run


# Scenes and frames


def test_a_scene_is_everybody_of_an_image(drawn):
    found = scenes(drawn)
    assert sum(len(s.people) for s in found) == len(drawn) and len({s.image_id for s in found}) == len(found)
    assert max(len(s.people) for s in found) > 1
    assert [s.image_id for s in spread(found, 3)] == [
        found[i].image_id for i in (0, len(found) // 3, 2 * len(found) // 3)
    ]
    assert spread(found, None) == found == spread(found, 99)


def test_people_whom_the_set_leaves_out_are_no_background(drawn):
    """A limit takes people out, not the boxes of those beside them."""
    few = drawn.spread(3)
    beside = [sum(p.image_id == s.image_id for p in drawn.people) - len(s.people) for s in scenes(few)]
    assert [len(s.others) for s in scenes(few)] == beside and any(beside)
    assert sum(len(s.others) for s in scenes(drawn)) == 0


def test_crowds_and_people_without_joints(coco_folder):
    """Image 1: a person, one without keypoints, one with a box outside, a crowd; image 2: the crowd alone."""

    def change(body):
        plain = {"image_id": 1, "category_id": 1, "iscrowd": 0, "area": 9.0}
        body["annotations"] += [
            {**plain, "id": 1, "bbox": [50, 5, 20, 20]},
            {**plain, "id": 2, "bbox": [500, 5, 20, 20]},
            {**plain, "id": 3, "bbox": [0, 40, 80, 20], "iscrowd": 1, "keypoints": [0] * 51},
        ]
        body["annotations"][1]["iscrowd"] = 1

    found = scenes(registry.load("coco", coco_folder(change), "train"))
    assert [s.image_id for s in found] == [1, 3]  # nobody but a crowd is no scene
    assert found[0].others.tolist() == [[50, 5, 20, 20]] and found[0].crowds.tolist() == [[0, 40, 80, 20]]
    known = truth(batch(found)[1])
    assert sorted(known.kind[0].tolist()) == [IGNORED, PERSON, PERSON]
    assert known.kind[1].tolist() == [PERSON, NOTHING, NOTHING]
    assert known.joints[0, 1:].abs().sum() == 0 and known.joints[0, 0, :, 2].all()


def test_people_without_ids_are_taught_once(coco_folder):
    """Known by their place in the file, they are not taken for others beside themselves."""

    def change(body):
        for annotation in body["annotations"]:
            del annotation["id"]

    found = scenes(registry.load("coco", coco_folder(change), "train"))
    assert [len(s.people) for s in found] == [1, 1, 1] and not any(len(s.others) for s in found)


def test_posetracks_ignore_regions_are_crowds(drawn):
    body = {**drawn.truth, "images": [
        {**image, "ignore_regions_x": [[10, 30, 30], "odd"], "ignore_regions_y": [[5, 5, 25], [1]]}
        for image in drawn.truth["images"]
    ]}  # fmt: skip
    found = scenes(replace(drawn, truth=body))
    assert all(s.crowds.tolist() == [[10, 5, 20, 20]] for s in found)


def test_labels_are_where_people_are(drawn):
    """The frame of an image twice as wide and high as itself: places double, and the way back is exact."""
    found = scenes(drawn)[:3]
    x, labels, views = plain(found, replace(STILL, width=640, height=480))
    assert x.shape == (3, 3, 480, 640) and all(view.size == (320, 240) for view in views)
    assert all(np.allclose(view.matrix, [[2, 0, 0], [0, 2, 0]]) for view in views)
    for scene, row in zip(found, labels, strict=True):
        for n, person in enumerate(scene.people):
            left, upper, w, h = person.box
            np.testing.assert_allclose(
                row[n, :4], 2 * np.array([left, upper, left + w, upper + h]), atol=1e-3
            )
            there = person.weights > 0
            np.testing.assert_allclose(
                row[n, 5:].reshape(17, 3)[there, :2], 2 * (person.xy[there] + 0.5), atol=1e-3
            )


def test_a_mirrored_frame_is_the_mirror_image(drawn):
    found = scenes(drawn)[:2]
    one = augmented(found, [0, 1], STILL, drawn.keypoints, 0, 1)
    two = augmented(found, [0, 1], replace(STILL, mirror=1.0), drawn.keypoints, 0, 1)
    # Bilinear weights of float32 coordinates; a colour is 1/255 of about 1/0.22.
    assert np.abs(one[0] - two[0][..., ::-1]).max() < 0.06
    a, b = truth(torch.from_numpy(one[1])), truth(torch.from_numpy(two[1]))
    torch.testing.assert_close(
        128 - a.boxes[..., [2, 0]] * a.kind[..., None], b.boxes[..., [0, 2]] + 128 * (1 - b.kind[..., None])
    )
    flipped = b.joints[:, :, list(drawn.keypoints.flipped)]
    assert torch.equal(a.joints[..., 2], flipped[..., 2])
    torch.testing.assert_close(
        (128 - a.joints[..., 0]) * a.joints[..., 2], flipped[..., 0], atol=1e-3, rtol=0
    )


def test_who_leaves_the_frame_is_not_taught(drawn):
    """Moved by half a frame some are cut, and some are out: nothing, or to be ignored."""
    far = replace(RECIPE, shift=0.9, scale=0.5)
    found = scenes(drawn)
    labels = np.concatenate(
        [augmented(found, range(len(found)), far, drawn.keypoints, 0, e)[1][:, 0] for e in range(4)]
    )
    kinds = set(labels[:, 4].tolist())
    assert kinds == {PERSON, NOTHING, IGNORED}
    boxes = labels[labels[:, 4] == PERSON, :4]
    assert (boxes >= 0).all() and (boxes <= [128, 96, 128, 96]).all() and (boxes[:, 2:] > boxes[:, :2]).all()


# Network and losses


def test_the_pyramid_has_four_strides():
    for name in ("tiny", "resnet18", "resnet50"):
        with torch.device("meta"):
            maps = KeypointRCNN(KeypointRCNNConfig(backbone=name))(torch.zeros(1, 3, 64, 96))
        assert [tuple(m.shape) for m in maps] == [(1, 64, 64 // s, 96 // s) for s in (4, 8, 16, 32)]


def test_a_trunk_is_the_backbone_without_its_way_up():
    for name in ("tiny", "resnet18"):
        with torch.device("meta"):
            names = set(trunk(name).state_dict())
        assert not any(n.startswith(("up.", "deconv_layers.")) for n in names) and len(names) > 20
    with pytest.raises(ValueError, match=r"hrnet-w32.*expected small, tiny"):
        trunk("hrnet-w32")
    with pytest.raises(ValueError, match="unknown backbone"):
        trunk("tinny")


@pytest.mark.parametrize(
    "settings",
    [{"anchors": (1.0, 2.0)}, {"anchors": (0.0,) * 4}, {"channels": 20}, {"kinds": ("scalar", "rows")},
     {"backbone": "hrnet-w32"}, {"depth": 0}],
)  # fmt: skip
def test_settings_that_no_network_has(settings):
    with pytest.raises(
        ValueError, match=f"keypoint-rcnn: {'heads' if 'kinds' in settings else next(iter(settings))}"
    ):
        KeypointRCNNConfig(**settings)


def test_two_steps_on_one_batch_lower_its_loss(drawn):
    """Two steps of plain descent on the same batch lower the sum of its parts, each time."""
    x, labels = batch(scenes(drawn)[:4])
    objective = PeopleObjective(network(), STILL, 0.25)
    optimiser = torch.optim.SGD(objective.parameters(), lr=0.02)
    found = []
    for _ in range(3):
        torch.manual_seed(1)  # the same anchors and RoIs are drawn: what falls is the network's error
        loss, reached, parts = objective(x, labels)
        found.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert set(parts) == {"rpn_person", "rpn_box", "person", "box", "heatmap", "offset"}
    assert sum(v.item() for v in parts.values()) == pytest.approx(found[-1])
    assert found[0] > found[1] > found[2]
    assert reached.shape == labels.shape[:2] and ((reached >= 0) == (labels[..., 4] > 0)).all()


@pytest.mark.parametrize("kind", [NOTHING, IGNORED])
def test_images_where_nobody_can_be_learned(drawn, kind):
    """No person, or a crowd alone: a finite loss, no joints in it, and a gradient for every parameter."""
    x, labels = batch(scenes(drawn)[:2])
    labels[..., 4] = kind
    objective = PeopleObjective(network(), STILL, 0.25)
    loss, reached, parts = objective(x, labels)
    loss.backward()
    assert loss.isfinite() and (reached == -1).all()
    assert parts["heatmap"] == parts["offset"] == parts["box"] == parts["rpn_box"] == 0
    assert all(p.grad is not None for p in objective.parameters())


def test_a_map_that_nothing_is_read_from_has_gradients_too(drawn):
    """Cells as large as the boxes are read from coarse maps alone; stride 4 has no anchors here."""
    x, labels = batch(scenes(drawn)[:1])
    labels[..., 4] = NOTHING
    model = network(cells=1, anchors=[0.0, 0.0, 64.0, 96.0])
    PeopleObjective(model, STILL, 0.25)(x, labels)[0].backward()
    assert all(p.grad is not None for p in model.parameters())
    assert not any(p.grad.any() for p in model.pyramid.smooth[0].parameters())


def test_people_without_joints_teach_boxes_alone(drawn):
    x, labels = batch(scenes(drawn)[:2])
    labels[..., 5:] = 0
    _, _, parts = PeopleObjective(network(), STILL, 0.25)(x, labels)
    assert parts["heatmap"] == 0 and parts["box"] > 0 and parts["rpn_person"] > 0


def test_perfect_maps_give_the_joints_of_the_image(drawn):
    """Detector, regions, codec and the way back agree: true boxes and encoded maps give annotated joints."""
    recipe = replace(STILL, width=320, height=256, roi_width=144, roi_height=192)
    scene = scenes(drawn)[0]
    x, labels, _ = plain([scene], recipe)
    model = network().eval()
    detector = PeopleDetector(model, recipe)
    known = truth(torch.from_numpy(labels))
    boxes = known.boxes[0, :1]

    class Perfect(torch.nn.Module):
        """What a head that knows the joints would give for the region that it is shown."""

        def forward(self, features):
            regions = ratio_consistent(boxes, recipe.roi, recipe.padding)
            xy = to_region(known.joints[0, :1, :, :2], regions, recipe.roi)
            maps = detector.codec.encode(xy.numpy(), known.joints[0, :1, :, 2].numpy())
            return torch.from_numpy(maps["heatmap"]), torch.from_numpy(maps["offset"]).flatten(1, 2)

    model.joint_head = Perfect()
    xy, _ = detector._joints(model(torch.from_numpy(x)), boxes, True)
    there = known.joints[0, 0, :, 2] > 0
    away = (xy[0] - known.joints[0, 0, :, :2]).norm(dim=1)[there]
    assert away.quantile(0.9) < 0.1  # of the codec; joints off the region have no map


# Runs


def test_a_run_holds_its_recipe(straight, drawn):
    about = checkpoint.load(straight).about
    assert about["model"] == "keypoint-rcnn" and about["recipe"] == RECIPE.to_dict()
    assert about["codec"]["grid"]["map_size"] == [12, 16] and about["joints"] == list(drawn.keypoints.joints)
    facts = json.loads((straight / "run.json").read_text())
    assert facts["people"]["train"] + facts["people"]["validation"] == len(drawn)
    assert facts["images"] == {"train": len(scenes(drawn)) - 1, "validation": 1}
    entries = [json.loads(line) for line in (straight / "log.jsonl").read_text().splitlines()]
    assert {"loss_rpn_person", "loss_box", "loss_heatmap", "loss_val", "accuracy_val"} <= set(entries[0])
    assert 0 < entries[0]["accuracy_train"] < 1


def test_resume_is_bit_identical(straight, drawn, tmp_path):
    def stop(entry):
        raise Stop

    run = tmp_path / "run"
    with pytest.raises(Stop):
        fit(CONFIG, RECIPE, drawn, run, progress=False, on_epoch=stop)
    torch.manual_seed(99)  # what ran in between must not matter
    fit(CONFIG, RECIPE, drawn, run, progress=False, resume=True)
    one, two = (checkpoint.load(r / "last.safetensors") for r in (straight, run))
    assert one.tensors.keys() == two.tensors.keys()
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in one.tensors)


def test_settings_that_no_run_can_have(drawn, tmp_path):
    with pytest.raises(SettingsError, match="backbones"):
        fit(replace(CONFIG, model_settings={"backbones": 1}), RECIPE, drawn, tmp_path / "a", progress=False)
    assert not (tmp_path / "a").exists()
    for fields, name in (
        ({"roi_width": 50}, "roi_width"),
        ({"codec": "simcc"}, "codec"),
        ({"reading": "half"}, "reading"),
        ({"width": 100}, "width"),
    ):
        with pytest.raises(DataError, match=f"recipe: {name} is"):
            SceneRecipe(**fields)
    with pytest.raises(ValueError, match="model = ogm"):
        PoseConfig(model="ogm")


def test_the_order_is_a_function_of_seed_and_epoch(drawn):
    course = gather(CONFIG, RECIPE, drawn, ALONE)
    one, two, other = ([x for x, _, _ in course.batches(epoch, ALONE)] for epoch in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert sum(len(x) for x in one) == course.size and not torch.equal(one[0], other[0])


def test_validation_is_the_same_whoever_asks(drawn):
    """Processes have generators of their own, and must judge an epoch alike: what the loss looks at is drawn
    from neither's, and neither moves on."""
    course, model = gather(CONFIG, RECIPE, drawn, ALONE), network()
    torch.manual_seed(1)
    one = course.validate(model, ALONE)
    assert torch.equal(torch.rand(1), torch.rand(1, generator=torch.Generator().manual_seed(1)))
    torch.manual_seed(2)
    assert course.validate(model, ALONE) == one and one["loss_val"] > 0


def test_validation_runs_the_network_once_a_batch(drawn):
    """Loss and people are of the same maps."""
    course, model = gather(CONFIG, RECIPE, drawn, ALONE), network()
    seen = []
    model.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    course.validate(model, ALONE)
    held = len(scenes(course.held))
    assert sum(seen) == held > 0 and len(seen) == -(-held // CONFIG.batch)


def test_validation_finds_whom_the_detector_finds(drawn):
    """The frames of the loss, all of a batch together: the people of each image on its own."""
    course, model = gather(replace(CONFIG, batch=3), RECIPE, drawn, ALONE), network().eval()
    detector, held = PeopleDetector(model, RECIPE), scenes(course.held)
    xy = {}
    for scene in held:
        xy |= assigned(scene, detector.find(images.read(scene.image)))
    alone = judged(np.stack([xy[p.image_id, p.id] for p in course.held.people]), course.held)
    assert course.validate(model, ALONE)["accuracy_val"] == alone.pooled


# Detection


def test_boxes_lie_in_the_image(straight, drawn):
    model, _ = checkpoint.load_model(straight)
    detector = PeopleDetector(model, RECIPE)
    everything = Choice(least=0.0, overlap=0.9, most=30)
    for pixels in (
        images.read(drawn.people[0].image),
        np.zeros((31, 200, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
    ):
        found = detector.find(pixels, everything)
        height, width = pixels.shape[:2]
        assert (found.boxes[:, 2:] > 0).all() and (found.boxes[:, :2] >= 0).all()
        assert (found.boxes[:, :2] + found.boxes[:, 2:] <= np.array([width, height]) + 1e-9).all()
        assert (np.diff(found.box_scores) <= 0).all() and ((found.scores >= 0) & (found.scores <= 1)).all()
        assert found.xy.shape == (len(found.boxes), 17, 2)
    assert not len(detector.find(pixels, Choice(least=1.1)).boxes)
    assert detector.find(images.read(drawn.people[0].image), everything, joints=False).xy.shape[1] == 0


def test_joints_of_people_whom_nobody_finds_are_wrong(drawn):
    scene = next(s for s in scenes(drawn) if len(s.people) > 1)
    first, second = scene.people[:2]
    found = Found(np.stack([second.box]), np.ones(1), second.xy[None], np.ones((1, 17)), 3)
    xy = assigned(scene, found)
    assert np.array_equal(xy[scene.image_id, second.id], second.xy)
    assert np.isnan(xy[scene.image_id, first.id]).all()
    nobody = Found(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 17, 2)), np.zeros((0, 17)), 0)
    assert all(np.isnan(v).all() for v in assigned(scene, nobody).values())


def test_a_set_without_annotations_of_coco_has_scenes_too(lspet_folder):
    found: PoseSet = registry.load("lspet", lspet_folder, "train")
    assert [len(s.people) for s in scenes(found)] == [1, 1]
    assert batch(scenes(found))[1].shape == (2, 1, 5 + 42)
