"""The chain from clip to sample: meaning, determinism, draws, and clips that nobody wishes for."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.data.clip import Clip
from train.data.recipe import NORMALISATIONS, Recipe
from train.data.transform import augmented_batch, prepare, standardised
from train.skeletons import layout

KINECT, NTU = layout("kinect20"), layout("ntu25")
STILL = {
    "rotate_y_deg": 0.0,
    "rotate_x_deg": 0.0,
    "scale": 0.0,
    "shear": 0.0,
    "noise": 0.0,
    "mirror": 0.0,
    "crop": 1.0,
    "jitter": False,
}
CHANGES = {
    "rotate_y_deg": 40.0,
    "rotate_x_deg": 20.0,
    "scale": 0.3,
    "shear": 0.3,
    "noise": 0.05,
    "mirror": 1.0,
    "crop": 0.3,
    "jitter": True,
}
every_normalisation = pytest.mark.parametrize("normalise", NORMALISATIONS)


@pytest.fixture
def clips(clip):
    return [clip(f"c{k}", frames=20 + 7 * k, label=k % 3, seed=k) for k in range(8)]


def test_shapes_labels_and_range(clips):
    stream = "joint+bone+joint-motion+bone-motion"
    samples = prepare(clips, Recipe(stream=stream, frames=12), KINECT)
    assert samples.x.shape == (8, 1, 12, 12, 20)
    assert samples.x.dtype == np.float32
    assert samples.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert samples.ids == tuple(c.id for c in clips)
    assert samples.present.all()


def test_prepare_is_deterministic_and_leaves_clips_alone(clips):
    before = [c.joints.copy() for c in clips]
    one, two = prepare(clips, Recipe(), KINECT), prepare(clips, Recipe(), KINECT)
    assert one.x.tobytes() == two.x.tobytes()
    assert all(np.array_equal(b, c.joints) for b, c in zip(before, clips, strict=True))


def test_resampling_takes_segment_centres():
    """Joint x of frame f is f (and a spread of 10 in the others): 8 frames, 4 segments -> 1, 3, 5, 7."""
    joints = np.zeros((1, 8, 20, 3), np.float32)
    joints[..., 0] = np.arange(8)[:, None]
    joints[..., 1] = np.linspace(0, 10, 20)
    x = prepare([Clip("f", joints, 0, 1)], Recipe(frames=4, stream="joint", normalise="minmax"), KINECT).x
    np.testing.assert_allclose(x[0, 0, :, 0, 0], 2 * np.array([1, 3, 5, 7]) / 7 - 1, atol=1e-6)


def test_random_segments_stay_in_their_segment():
    joints = np.zeros((1, 8, 20, 3), np.float32)
    joints[..., 0] = np.arange(8)[:, None]
    joints[..., 1] = 1.0  # no frame is empty
    recipe = Recipe(frames=4, stream="joint", normalise="minmax", **STILL | {"jitter": True})
    drawn = set()
    for epoch in range(40):
        x, _ = augmented_batch([Clip("f", joints, 0, 1)], [0], recipe, KINECT, 0, epoch)
        frames = np.rint((x[:, 0, 0, 0] + 1) * 3.5).astype(int)
        assert (frames // 2).tolist() == [0, 1, 2, 3]
        drawn.add(tuple(frames))
    assert len(drawn) > 8


def test_minmax_fills_the_box_and_keeps_a_constant_axis_at_zero(clips):
    recipe = Recipe(
        frames=200, stream="joint", normalise="minmax"
    )  # more steps than frames: every frame is seen
    x = prepare(clips, recipe, KINECT).x
    np.testing.assert_allclose(x.min(axis=(1, 2, 4)), -1.0, atol=1e-5)
    np.testing.assert_allclose(x.max(axis=(1, 2, 4)), 1.0, atol=1e-5)
    flat = clips[0].joints.copy()
    flat[..., 2] = 3.0
    x = prepare([Clip("flat", flat, 0, 1)], recipe, KINECT).x
    assert not x[..., 2, :].any()


@pytest.mark.parametrize("normalise", ["body", "body-yaw"])
def test_body_is_centred_isotropic_and_free_of_place_and_size(clip, normalise):
    plain = clip(frames=16)
    recipe = Recipe(stream="joint", normalise=normalise, limit=100.0)
    x = prepare([plain], recipe, KINECT).x[0, 0]
    np.testing.assert_allclose(x[0, :, KINECT.centre], 0.0, atol=1e-6)
    moved = Clip("m", 1.7 * plain.joints + np.float32([1, -2, 3]), 0, 1)
    np.testing.assert_allclose(prepare([moved], recipe, KINECT).x[0, 0], x, atol=1e-5)
    size = np.linalg.norm(plain.joints[0, 0, 3] - plain.joints[0, 0, 15])
    again = np.linalg.norm(x[0, :, 3] - x[0, :, 15])
    other = np.linalg.norm(plain.joints[0, 0, 7] - plain.joints[0, 0, 11])
    assert again / np.linalg.norm(x[0, :, 7] - x[0, :, 11]) == pytest.approx(size / other, rel=1e-4)


def test_yaw_alignment_forgets_the_view_and_keeps_the_lean(clip):
    plain = clip(frames=16)
    recipe = Recipe(stream="joint", normalise="body-yaw", limit=100.0)
    x = prepare([plain], recipe, KINECT).x
    for yaw in (0.4, 2.0, -3.0):
        turn = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
        turned = Clip("t", (plain.joints @ np.float32(turn).T), 0, 1)
        np.testing.assert_allclose(prepare([turned], recipe, KINECT).x, x, atol=1e-5)
    line = sum(x[0, 0, 0, :, left] - x[0, 0, 0, :, left + 4] for left in (4, 12))
    assert line[0] > 0
    assert abs(line[2]) < 1e-5


def test_motion_is_taken_after_resampling(clips):
    both = prepare(clips, Recipe(stream="joint+joint-motion", limit=100.0), KINECT).x
    joint, motion = both[..., :3, :], both[..., 3:, :]
    np.testing.assert_array_equal(motion[:, :, :-1], joint[:, :, 1:] - joint[:, :, :-1])
    assert not motion[:, :, -1].any()


def test_values_are_cut_at_the_limit(clips):
    x = prepare(clips, Recipe(bone_gain=50.0, limit=1.5), KINECT).x
    assert (x.min(), x.max()) == (-1.5, 1.5)


@every_normalisation
def test_no_augmentation_is_prepare(clips, normalise):
    recipe = Recipe(normalise=normalise, **STILL)
    x, labels = augmented_batch(clips, range(8), recipe, KINECT, seed=3, epoch=1)
    samples = prepare(clips, recipe, KINECT)
    assert x.shape == (16, 8, 6, 20)
    np.testing.assert_array_equal(x, samples.folded())
    np.testing.assert_array_equal(labels, samples.labels)


@every_normalisation
@pytest.mark.parametrize("field", sorted(STILL))
def test_no_augmentation_is_void(clips, normalise, field):
    """The field's scale and centre augmentation was undone by its normalisation; none of ours is."""
    recipe = Recipe(normalise=normalise, **STILL | {field: CHANGES[field]})
    x, _ = augmented_batch(clips, range(8), recipe, KINECT, seed=0, epoch=0)
    still = prepare(clips, recipe, KINECT).folded()
    changed = np.abs(x - still).max(axis=(0, 2, 3))
    assert (changed > 1e-3).all()


def test_draws_differ_by_epoch_seed_and_sample(clips):
    same = [clips[0], Clip("twin", clips[0].joints, 0, 1)]

    def batch(seed, epoch):
        return augmented_batch(same, [0, 1], Recipe(), KINECT, seed, epoch)[0]

    one = batch(0, 0)
    assert one.tobytes() == batch(0, 0).tobytes()
    assert not np.allclose(one, batch(0, 1))
    assert not np.allclose(one, batch(1, 0))
    assert not np.allclose(one[:, 0], one[:, 1])


@every_normalisation
def test_draws_ignore_the_batch_and_the_order(clips, normalise):
    recipe = Recipe(normalise=normalise, mirror=0.5)
    whole, labels = augmented_batch(clips, range(8), recipe, KINECT, 5, 2)
    order = [6, 1, 3]
    part, part_labels = augmented_batch(clips, np.array(order), recipe, KINECT, 5, 2)
    # matrix products of other batch sizes may round otherwise: tolerance of some float32 steps
    np.testing.assert_allclose(part, whole[:, order], atol=1e-5)
    np.testing.assert_array_equal(part_labels, labels[order])


def test_numpy_global_state_is_left_alone(clips):
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the legacy state is what is watched
    augmented_batch(clips, range(8), Recipe(), KINECT, 0, 0)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_mirror_exchanges_sides(clip):
    plain = clip(frames=16)
    recipe = Recipe(normalise="body", stream="joint", **STILL | {"mirror": 1.0})
    x, _ = augmented_batch([plain], [0], recipe, KINECT, 0, 0)
    still = prepare([plain], recipe, KINECT).folded()
    np.testing.assert_allclose(x[:, :, 0, 8], -still[:, :, 0, 4], atol=1e-6)
    np.testing.assert_allclose(x[:, :, 1:, 8], still[:, :, 1:, 4], atol=1e-6)
    np.testing.assert_allclose(x[:, :, 0, 3], -still[:, :, 0, 3], atol=1e-6)


@every_normalisation
def test_an_absent_second_person_stays_zero(clip, normalise):
    two = clip(frames=10, joints=25, persons=2)
    alone = two.joints.copy()
    alone[1] = 0.0
    clips = [two, Clip("alone", alone, 0, 1)]
    samples = prepare(clips, Recipe(normalise=normalise), NTU)
    assert samples.present.tolist() == [[True, True], [True, False]]
    assert samples.x[0, 1].any()
    assert not samples.x[1, 1].any()
    x, _ = augmented_batch(clips, [0, 1], Recipe(normalise=normalise), NTU, 0, 0)
    assert x.shape == (16, 4, 6, 25)
    assert not x[:, 3].any()


@every_normalisation
def test_an_absent_first_person_does_not_move_the_second(clip, normalise):
    two = clip(frames=10, joints=25, persons=2)
    second = two.joints.copy()
    second[0] = 0.0
    first = second[::-1].copy()
    recipe = Recipe(normalise=normalise)
    a = prepare([Clip("second", second, 0, 1)], recipe, NTU)
    b = prepare([Clip("first", first, 0, 1)], recipe, NTU)
    assert a.present.tolist() == [[False, True]]
    np.testing.assert_array_equal(a.x[:, 1], b.x[:, 0])


@every_normalisation
def test_empty_frames_are_left_out(clip, normalise):
    full = clip(frames=10)
    gaps = np.zeros((1, 16, 20, 3), np.float32)
    gaps[:, [1, 2, 4, 5, 6, 8, 9, 12, 13, 14]] = full.joints
    recipe = Recipe(normalise=normalise)
    one, two = prepare([full], recipe, KINECT), prepare([Clip("g", gaps, 0, 1)], recipe, KINECT)
    np.testing.assert_array_equal(one.x, two.x)


@every_normalisation
@pytest.mark.parametrize("frames", [1, 2])
def test_the_shortest_clips(clip, normalise, frames):
    recipe = Recipe(normalise=normalise, stream="joint+joint-motion", noise=0.0)
    x = prepare([clip(frames=frames)], recipe, KINECT).x
    assert np.isfinite(x).all()
    assert x[..., :3, :].any()
    assert x[..., 3:, :].any() == (frames > 1)
    x, _ = augmented_batch([clip(frames=frames)], [0], recipe, KINECT, 0, 0)
    assert np.isfinite(x).all()


@every_normalisation
def test_nobody_and_a_single_point(normalise):
    nobody = Clip("nobody", np.zeros((1, 5, 20, 3), np.float32), 0, 1)
    point = Clip("point", np.ones((1, 5, 20, 3), np.float32), 0, 1)
    recipe = Recipe(normalise=normalise)
    samples = prepare([nobody, point], recipe, KINECT)
    assert samples.present.tolist() == [[False], [True]]
    assert not samples.x.any()
    x, _ = augmented_batch([nobody, point], [0, 1], recipe, KINECT, 0, 0)
    assert np.isfinite(x).all()
    assert not x[:, 0].any()


def test_one_step(clips):
    stream = "joint+bone+joint-motion+bone-motion"
    x = prepare(clips, Recipe(frames=1, stream=stream), KINECT).x
    assert x.shape == (8, 1, 1, 12, 20)
    assert not x[..., 6:, :].any()


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(1, 40),
    steps=st.integers(1, 40),
    normalise=st.sampled_from(NORMALISATIONS),
    epoch=st.integers(0, 2**40),
    crop=st.floats(0.01, 1.0),
)
def test_any_length_gives_finite_values_within_the_limit(frames, steps, normalise, epoch, crop):
    joints = np.random.default_rng(frames).standard_normal((2, frames, 25, 3)).astype(np.float32)
    joints[1, frames // 2 :] = 0.0
    recipe = Recipe(frames=steps, normalise=normalise, crop=crop, mirror=0.5, noise=0.1)
    x, _ = augmented_batch([Clip("h", joints, 0, 1)], [0], recipe, NTU, 0, epoch)
    assert x.shape == (steps, 2, 6, 25)
    assert np.abs(x).max() <= recipe.limit


def test_no_clips(refused):
    refused(lambda: prepare([], Recipe(), KINECT), "empty")
    refused(lambda: augmented_batch([], [], Recipe(), KINECT, 0, 0), "empty")


def test_recipe_round_trip_and_refusals(refused):
    recipe = Recipe(frames=8, stream="bone", normalise="body", mirror=0.5, jitter=False)
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert Recipe.from_dict({"scale": 0}) == Recipe(scale=0.0)
    refused(lambda: Recipe.from_dict({"frame": 3}), "'frame'", "frames")
    refused(lambda: Recipe.from_dict({"frames": "16"}), "frames", "int")
    refused(lambda: Recipe.from_dict({"jitter": 1}), "jitter", "bool")
    for field, value in (
        ("frames", 0),
        ("stream", "joints"),
        ("normalise", "none"),
        ("limit", 0.0),
        ("crop", 0.0),
        ("mirror", 2.0),
        ("noise", -1.0),
        ("scale", 1.0),
    ):
        refused(lambda f=field, v=value: dataclasses.replace(Recipe(), **{f: v}), "expected")


def test_framewise_brings_each_frame_and_axis_to_a_unit_range(clip):
    """Every frame of a person fills [0, 1] in each axis; who is absent stays zero."""
    alone = clip("a", frames=9, persons=2)
    alone.joints[1] = 0.0
    plain = prepare([alone], Recipe(frames=6), KINECT).x
    got = prepare([alone], Recipe(frames=6, framewise=True), KINECT).x
    low, high = plain.min(-1, keepdims=True), plain.max(-1, keepdims=True)
    np.testing.assert_allclose(got[:, 0], ((plain - low) / (high - low))[:, 0], atol=1e-6)  # float32
    assert (got[:, 0].min(-1) == 0).all() and np.allclose(got[:, 0].max(-1), 1.0, atol=1e-6)
    assert not got[:, 1].any()


def test_framewise_comes_after_the_statistics(clips):
    """Mean and spread are of what is standardised: coordinates that fill no [0, 1] yet."""
    of = standardised(clips, Recipe(frames=6, framewise=True), KINECT, seed=0)
    plain = standardised(clips, Recipe(frames=6), KINECT, seed=0)
    assert of.mean == plain.mean and of.spread == plain.spread
    assert min(plain.mean) < -0.1, "vacuous: a minimum of 0 would hide it"
