"""`fuse`: weights from validation alone, the test read once, the same on every exact target; bad input."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from convert.ir import BadInput
from train import checkpoint
from train.data import registry
from train.fusion import centred
from verbs.fusing import fitted, rate
from verbs.members import check_alike, common_validation, open_run

SMALL = (
    "--set",
    "channels=8",
    "--frames",
    4,
    "--epochs",
    1,
    "--threads",
    1,
    "--data-option",
    "train_per_class=14",
)


def fused(run, out, *args):
    got = run("fuse", *args, "--out", out, "--threads", 1)
    assert got.code == 0, got.err
    return json.loads(out.read_text()), got.out


def weights_of(found):
    return [member["weight"] for member in found["members"]]


@pytest.fixture(scope="session")
def joint(streams):
    return streams / "joint"


@pytest.fixture(scope="session")
def motion(streams):
    return streams / "joint-motion"


@pytest.fixture(scope="session")
def joint_artifact(integers):
    return integers / "joint"


@pytest.fixture(scope="session")
def motion_artifact(integers):
    return integers / "joint-motion"


@pytest.fixture
def both(run, joint, motion, tmp_path):
    return fused(run, tmp_path / "both.json", joint, motion)[0]


def aged(source, run, **changed):
    """A copy of a run's best without fields that came later, and with its data's options changed."""
    kept = checkpoint.load(source)
    about = {**kept.about, "train_config": dict(kept.about["train_config"])}
    about["model_config"] = dict(about["model_config"])
    for record, name in (
        ("train_config", "optimizer"),
        ("train_config", "init"),
        ("model_config", "dropout"),
    ):
        del about[record][name]
    known = about["dataset"]
    about["dataset"] = {**known, "options": {**known["options"], **changed}}
    run.mkdir()
    checkpoint.save(run / "best.safetensors", kept.tensors, about)
    return run


def test_a_run_from_before_a_field_is_fused(run, both, joint, motion, tmp_path, refused):
    """And one whose data's options say what others leave at the default; another value is refused."""
    old = aged(joint, tmp_path / "old", flat=False)
    found = fused(run, tmp_path / "found.json", old, motion)[0]
    assert weights_of(found) == weights_of(both)
    other = aged(joint, tmp_path / "other", flat=True)
    refused(run("fuse", other, motion, "--out", tmp_path / "no.json"), 3, "flat=True", "flat=False")


def test_the_file_holds_what_can_be_recomputed(run, both, joint, motion, tmp_path):
    """Accuracies, scales and fused decisions, from the scores that `evaluate` writes."""
    scores, at = {}, {}
    for split in ("validation", "test"):
        for name, path in (("joint", joint), ("motion", motion)):
            out = tmp_path / f"{name}-{split}.json"
            assert run("evaluate", path, "--split", split, "--threads", 1, "--json", out).code == 0
            at[split, name] = json.loads(out.read_text())
            scores[split, name] = np.array(at[split, name]["scores"])
    assert both["format"] == "basalt-fusion" and sum(weights_of(both)) == pytest.approx(1.0)
    for place, name in enumerate(("joint", "motion")):
        member = both["members"][place]
        assert member["checkpoint"] == at["test", name]["checkpoint"]
        rms = float(np.sqrt((centred(scores["validation", name]) ** 2).mean()))
        assert member["scale"] == pytest.approx(rms, rel=1e-12)  # sums in another order
        for split in ("validation", "test"):
            of = both["splits"][split]["members"][place]
            assert of["accuracy"] == at[split, name]["accuracy"]
            assert of["predictions"] == at[split, name]["predictions"]
    sums = sum(
        m["weight"] / m["scale"] * centred(scores["test", n])
        for m, n in zip(both["members"], ("joint", "motion"), strict=True)
    )
    found = both["splits"]["test"]
    assert found["fitted"]["predictions"] == sums.argmax(axis=1).tolist()
    assert found["sample_ids"] == at["test", "motion"]["sample_ids"]
    right = np.trace(np.array(found["fitted"]["confusion"]))
    assert right == found["fitted"]["right"] == round(36 * found["fitted"]["accuracy"])
    assert len(set(found["fitted"]["predictions"])) > 1, "vacuous: one class for all"


def test_the_test_is_read_once_after_the_fit_and_never_moves_it(
    run, joint, motion, both, tmp_path, monkeypatch
):
    """Other test labels: other accuracies, the same weights to the last bit."""
    import verbs.fusing

    real, fit, seen = registry.load, verbs.fusing.fit, []

    def load(name, root, split, **options):
        seen.append(split)
        clips = real(name, root, split, **options)
        if split != "test":
            return clips
        other = [replace(c, label=(c.label + 1 + c.label % 3) % 12) for c in clips.clips]
        return replace(clips, clips=tuple(other))

    monkeypatch.setattr(registry, "load", load)
    monkeypatch.setattr(verbs.fusing, "fit", lambda *args: (seen.append("fit"), fit(*args))[1])
    other, _ = fused(run, tmp_path / "other.json", joint, motion)
    assert seen == ["train", "fit", "test"]
    assert other["splits"]["test"]["labels"] != both["splits"]["test"]["labels"], "vacuous"
    assert weights_of(other) == weights_of(both)
    assert other["splits"]["validation"] == both["splits"]["validation"]
    seen.clear()
    fused(run, tmp_path / "validation.json", joint, motion, "--split", "validation")
    assert seen == ["train", "fit"]


def test_complementary_models_are_right_where_each_alone_is_not(joint, motion):
    """One knows the upper half of a class's number, the other the lower; noise on both."""
    generator = np.random.Generator(np.random.PCG64(0))

    def knows(part):
        def scores(feed):
            labels = feed.samples.labels
            same = (part(labels)[:, None] == part(np.arange(12))[None]).astype(float)
            return 3.0 * same + 0.5 * generator.standard_normal(same.shape)

        return scores

    members = [
        replace(open_run(joint, 1), scores=knows(lambda k: k // 4)),
        replace(open_run(motion, 1), scores=knows(lambda k: k % 4)),
    ]
    fusion, validation = fitted(members, None, None)
    found = rate(members, "test", None, None).judged(fusion)
    assert max(member["accuracy"] for member in found["members"]) < 0.6
    assert found["fitted"]["accuracy"] > 0.95 and validation["cross_validated"] > 0.9
    assert validation["n_samples"] == 24 and found["n_samples"] == 36


def test_exact_targets_give_the_same_weights(run, joint_artifact, motion_artifact, both, tmp_path):
    """Integers are integers: loihi-sim, ONNX and the reference, weight for weight, sample for sample."""
    found = {}
    for target in ("loihi-sim", "onnx", "reference"):
        args = (joint_artifact, motion_artifact, "--target", target)
        found[target], _ = fused(run, tmp_path / f"{target}.json", *args)
        assert {m["target"] for m in found[target]["members"]} == {target}
        assert {m["form"] for m in found[target]["members"]} == {"integer"}
    for target in ("onnx", "reference"):
        assert weights_of(found[target]) == weights_of(found["loihi-sim"])
        assert found[target]["splits"] == found["loihi-sim"]["splits"]
    assert abs(weights_of(found["onnx"])[0] - 0.5) > 1e-3, "vacuous: the fit does nothing"
    # Of the same models as the runs, in 8 bits: near their weights, not on them.
    np.testing.assert_allclose(weights_of(found["onnx"]), weights_of(both), atol=0.2)


def test_runs_and_artifacts_mix_and_the_artifact_names_its_own_target(run, joint, motion_artifact, tmp_path):
    found, out = fused(run, tmp_path / "f.json", joint, motion_artifact, "--limit", 8)
    assert [m["target"] for m in found["members"]] == ["torch", "loihi-sim"]
    assert found["limit"] == 8 and found["splits"]["test"]["n_samples"] == 8
    assert "loihi-sim (integer)" in out and "most often taken for" in out and "fitted weights" in out


def test_frozen_weights_serve_the_artifacts_of_the_same_models(
    run, both, joint, motion, joint_artifact, motion_artifact, tmp_path, refused
):
    """In any order, without reading validation, to the same result; `--out` may not replace them."""
    again, _ = fused(run, tmp_path / "again.json", joint, motion, "--weights", tmp_path / "both.json")
    assert weights_of(again) == weights_of(both) and again["fitted_on"] == str(tmp_path / "both.json")
    assert again["splits"] == {"test": both["splits"]["test"]}
    turned, _ = fused(
        run, tmp_path / "turned.json", motion_artifact, joint_artifact, "--weights", tmp_path / "both.json"
    )
    assert weights_of(turned) == weights_of(both)[::-1]
    same = run("fuse", joint, motion, "--weights", tmp_path / "both.json", "--out", tmp_path / "both.json")
    refused(same, 2, "--weights")


def test_weights_of_other_models_are_refused(run, both, joint, motion, joint_artifact, tmp_path, refused):
    path, out = tmp_path / "both.json", tmp_path / "x.json"

    def with_weights(change, *members):
        body = json.loads(path.read_text())
        change(body)
        (tmp_path / "w.json").write_text(json.dumps(body))
        return run("fuse", *members, "--weights", tmp_path / "w.json", "--out", out)

    members = (joint, motion)
    refused(
        with_weights(lambda b: b["members"][0].update(checkpoint="0" * 64), *members), 3, "has no weight in"
    )
    extra = {"path": "third", "checkpoint": "1" * 64, "weight": 0.0, "scale": 1.0}
    refused(with_weights(lambda b: b["members"].append(extra), *members), 3, "third too")
    for key, value in (
        ("weight", 0.9),
        ("weight", float("nan")),
        ("scale", 0.0),
        ("scale", "1"),
        ("path", 3),
    ):
        got = with_weights(lambda b, k=key, v=value: b["members"][0].update({k: v}), *members)
        refused(got, 3, "w.json", "fit the weights again")
    refused(with_weights(lambda b: b.update(format="x"), *members), 3, "basalt-fusion")
    refused(with_weights(lambda b: b.update(members=None), *members), 3, "fit the weights again")
    (tmp_path / "no.json").write_text("{")
    refused(run("fuse", *members, "--weights", tmp_path / "no.json", "--out", out), 3, "JSON")
    refused(run("fuse", *members, "--weights", tmp_path / "none.json", "--out", out), 3, "no such file")
    assert not out.exists()


def test_the_wrong_number_of_models(run, joint, joint_artifact, tmp_path, refused):
    out = ("--out", tmp_path / "x.json")
    assert run("fuse", *out).code == 2
    refused(run("fuse", joint, *out), 2, "two models")
    refused(run("fuse", joint, joint, *out), 2, "named twice")
    shutil.copytree(joint, tmp_path / "copy")
    refused(run("fuse", joint, tmp_path / "copy", *out), 3, "same model", "name each model once")
    refused(run("fuse", joint, joint_artifact, *out), 3, "same model", "checkpoint")
    assert not (tmp_path / "x.json").exists()


def test_what_is_no_model(run, joint, motion, joint_artifact, motion_artifact, tmp_path, refused):
    out = ("--out", tmp_path / "x.json")
    refused(run("fuse", joint, tmp_path / "none", *out), 3, "none: no such run or artifact")
    (tmp_path / "foreign.safetensors").write_bytes(b"x" * 100)
    refused(run("fuse", joint, tmp_path / "foreign.safetensors", *out), 3, "foreign.safetensors")
    (tmp_path / "empty").mkdir()
    refused(run("fuse", joint, tmp_path / "empty", *out), 3, "best.safetensors", "no such file")
    refused(run("fuse", joint, motion, "--target", "onnx", *out), 2, "--target", "no artifact")
    got = run("fuse", joint_artifact, motion_artifact, "--target", "loihi-sim", "--form", "float", *out)
    refused(got, 4, "float")


def test_models_of_other_clips(run, joint, joint_artifact, tmp_path, refused):
    """Other options of the data set, another data set, other clips held out."""
    out = ("--out", tmp_path / "x.json")
    args = ("train", "--dataset", "synthetic", *SMALL)
    assert (
        run(
            *args, "--data-option", "seed=1", "--out", tmp_path / "seed", "--data-option", "test_per_class=3"
        ).code
        == 0
    )
    for member in (joint, joint_artifact):
        refused(
            run("fuse", member, tmp_path / "seed", *out),
            3,
            "seed=1",
            "seed=0",
            "the same data set and options",
        )
    more = ("--data-option", "test_per_class=3", "--validation-subjects", 3)
    assert run(*args, *more, "--out", tmp_path / "other").code == 0
    got = run("fuse", joint, tmp_path / "other", *out)
    refused(got, 3, "held out 24 clips", "24, of which 0 are the same", "--validation-subjects")
    assert not (tmp_path / "x.json").exists()


def test_other_frames_and_other_recipes_are_welcome(run, joint, tmp_path):
    """Only the clips must agree; a recipe is the member's own. Defaults said aloud are the same options."""
    args = ("train", "--dataset", "synthetic", *SMALL, "--data-option", "test_per_class=3")
    said = ("--data-option", "seed=0")
    assert run(*args, *said, "--set", "normalise=minmax", "--out", tmp_path / "four").code == 0
    found, _ = fused(run, tmp_path / "f.json", joint, tmp_path / "four")
    assert found["splits"]["test"]["n_samples"] == 36


def test_members_are_compared_before_anything_runs(joint, motion):
    """Other classes, another data set, no record of validation: what and what to do, by name."""
    a, b = open_run(joint, 1), open_run(motion, 1)
    check_alike([a, b])

    def other(**changes):
        return replace(b, about={**b.about, **changes})

    with pytest.raises(BadInput, match=r"motion: its 3 classes are not the 12 classes of .*joint; fuse"):
        check_alike([a, other(classes=["x", "y", "z"])])
    with pytest.raises(
        BadInput, match=r"motion: trained on nw-ucla labels=published, .*joint on syn.* seed=0"
    ):
        check_alike([a, other(dataset={"name": "nw-ucla", "layout": "kinect20", "options": {}})])
    elsewhere = {**b.about["dataset"], "options": {**b.about["dataset"]["options"], "path": "elsewhere"}}
    check_alike([a, other(dataset=elsewhere)])  # the same data may lie in two places
    clips = registry.load("synthetic", None, "train", train_per_class=14, test_per_class=3)
    bare = replace(b, about={k: v for k, v in b.about.items() if k != "validation"})
    with pytest.raises(BadInput, match=r"motion: .* convert the run again"):
        common_validation([a, bare], clips)
    assert len(common_validation([a, b], clips).clips) == 24
