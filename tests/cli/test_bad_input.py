"""Bad input: one clear line on stderr, the documented code, no traceback, nothing half-written."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile

import h5py
import numpy as np
import pytest

TRAIN = (
    "train",
    "--dataset",
    "nw-ucla",
    "--epochs",
    "1",
    "--batch",
    "8",
    "--set",
    "channels=8",
    "--frames",
    "4",
    "--threads",
    "1",
    "--validation-subjects",
    "4",
)


def train_on(run, tmp_path, data, *more):
    got = run(*TRAIN, "--data", data, "--out", tmp_path / "run", *more)
    if got.code:
        assert not (tmp_path / "run").exists() or list((tmp_path / "run").iterdir()) == []
    return got


def first(folder):
    return sorted(folder.iterdir())[0]


def test_the_small_folder_itself_is_good(run, ucla, tmp_path):
    assert train_on(run, tmp_path, ucla).code == 0


def test_missing_data(run, tmp_path, refused):
    refused(train_on(run, tmp_path, tmp_path / "nowhere"), 3, "nowhere")


def test_truncated_archive(run, ucla, tmp_path, refused):
    whole = tmp_path / "all_sqe.tar.gz"
    with tarfile.open(whole, "w:gz") as archive:
        archive.add(ucla, "all_sqe")
    assert train_on(run, tmp_path, whole).code == 0
    shutil.rmtree(tmp_path / "run")
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole.read_bytes()[:-400])
    refused(train_on(run, tmp_path, cut), 3, "cut.tar.gz")


def test_truncated_json(run, ucla, tmp_path, refused):
    path = first(ucla)
    path.write_text(path.read_text()[:-30])
    refused(train_on(run, tmp_path, ucla), 3, path.name)


def test_folder_without_sequences(run, tmp_path, refused):
    (tmp_path / "empty").mkdir()
    refused(train_on(run, tmp_path, tmp_path / "empty"), 3, "empty")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_with_nan(run, ucla, tmp_path, value, refused):
    path = first(ucla)
    body = json.loads(path.read_text())
    body["skeletons"][1][3][2] = value
    path.write_text(json.dumps(body))
    refused(train_on(run, tmp_path, ucla), 3, path.name)


def test_wrong_joint_count(run, ucla, tmp_path, refused):
    path = first(ucla)
    body = json.loads(path.read_text())
    body["skeletons"] = [frame[:19] for frame in body["skeletons"]]
    path.write_text(json.dumps(body))
    refused(train_on(run, tmp_path, ucla), 3, path.name, "20")


@pytest.mark.parametrize("label", [0, 11, "x"])
def test_unknown_class(run, ucla, tmp_path, label, refused):
    path = first(ucla)
    body = json.loads(path.read_text())
    body["label"] = label
    path.write_text(json.dumps(body))
    refused(train_on(run, tmp_path, ucla), 3, path.name)


def test_sequences_of_one_frame_train(run, ucla, tmp_path):
    for path in ucla.iterdir():
        body = json.loads(path.read_text())
        body["skeletons"] = body["skeletons"][:1]
        path.write_text(json.dumps(body))
    assert train_on(run, tmp_path, ucla, "--stream", "joint+bone+joint-motion+bone-motion").code == 0


def test_one_step_goes_the_whole_way(run, tmp_path):
    """T of 1: trained, converted, the same spikes on every target."""
    made = run(
        "train",
        "--dataset",
        "synthetic",
        "--out",
        tmp_path / "run",
        "--frames",
        "1",
        "--epochs",
        "1",
        "--set",
        "channels=8",
        "--threads",
        "1",
        "--data-option",
        "train_per_class=4",
        "--data-option",
        "test_per_class=2",
    )
    assert made.code == 0, made.err
    assert run("convert", tmp_path / "run", "--to", "lava", "--out", tmp_path / "a").code == 0
    got = run("verify", tmp_path / "a", "--targets", "reference,onnx,loihi-sim", "--samples", "4")
    assert got.code == 0, got.err


def test_empty_split(run, ucla, tmp_path, refused):
    for path in ucla.glob("*_v03.json"):
        path.unlink()
    assert train_on(run, tmp_path, ucla).code == 0
    assert run("convert", tmp_path / "run", "--to", "lava", "--out", tmp_path / "a").code == 0
    refused(run("simulate", tmp_path / "a", "--target", "reference", "--split", "test"), 3)


def test_no_training_split(run, ucla, tmp_path, refused):
    for view in (1, 2):
        for path in ucla.glob(f"*_v0{view}.json"):
            path.unlink()
    refused(train_on(run, tmp_path, ucla), 3)


def test_checkpoint_truncated(run, trained, tmp_path, refused):
    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run" / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused(run("convert", tmp_path / "run", "--to", "lava", "--out", tmp_path / "a"), 3, "best.safetensors")
    assert not (tmp_path / "a").exists()


def test_run_that_is_not_there(run, tmp_path, refused):
    refused(run("convert", tmp_path / "none", "--to", "onnx", "--out", tmp_path / "a"), 3, "none")


def test_checkpoint_of_another_tool(run, tmp_path, refused):
    from safetensors.numpy import save_file

    save_file({"w": np.ones(3, np.float32)}, tmp_path / "best.safetensors")
    refused(run("convert", tmp_path / "best.safetensors", "--to", "onnx", "--out", tmp_path / "a"), 3, "best")


def test_resume_with_another_model_is_refused(run, trained, tmp_path, refused):
    shutil.copytree(trained, tmp_path / "run")
    got = run(
        "train",
        "--dataset",
        "synthetic",
        "--out",
        tmp_path / "run",
        "--set",
        "channels=8,16",
        "--frames",
        "8",
        "--epochs",
        "2",
        "--batch",
        "16",
        "--threads",
        "1",
        "--data-option",
        "train_per_class=8",
        "--data-option",
        "test_per_class=3",
        "--resume",
    )
    refused(got, 3, "channels")


@pytest.mark.parametrize("name", ["integer.npz", "program.npz", "manifest.json"])
def test_artifact_edited_by_hand(run, lava_artifact, tmp_path, name, refused):
    shutil.copytree(lava_artifact, tmp_path / "a")
    path = tmp_path / "a" / name
    if name == "manifest.json":
        about = json.loads(path.read_text())
        about["files"]["integer.npz"] = "0" * 64
        path.write_text(json.dumps(about))
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    refused(run("simulate", tmp_path / "a", "--target", "loihi-sim"), 3, ".npz")


def resealed(artifact, out, change):
    """A copy whose program was edited by hand, all checksums made to fit."""
    shutil.copytree(artifact, out)
    with np.load(out / "program.npz") as file:
        members = dict(file)
    body = json.loads(members["graph.json"].tobytes())
    change(body)
    members["graph.json"] = np.frombuffer(json.dumps(body).encode(), np.uint8)
    np.savez_compressed(out / "program.npz", **members)
    about = json.loads((out / "manifest.json").read_text())
    del about["sha256"]
    about["files"]["program.npz"] = hashlib.sha256((out / "program.npz").read_bytes()).hexdigest()
    about["sha256"] = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    (out / "manifest.json").write_text(json.dumps(about))
    return out


BEYOND = {
    "threshold": (lambda b: b["populations"]["embed_spike"]["model"].update(vth=1 << 17),
                  "embed_spike: LoihiLIF: vth = 131072 is outside 0..131071"),
    "weights": (lambda b: b["projections"][0].update(bits=4), "do not fit 4 bits (-8..7)"),
    "delay": (lambda b: b["projections"][0].update(delay=63), "chip delay 63 is outside 0..62"),
}  # fmt: skip


@pytest.mark.parametrize("name", BEYOND)
def test_program_that_no_chip_holds(run, lava_artifact, tmp_path, name, refused):
    """Well formed, checksums and all, but beyond the widths of a chip: exit 4 at every door."""
    change, said = BEYOND[name]
    path = resealed(lava_artifact, tmp_path / "a", change)
    for args in (
        ("inspect", path), ("map", path, "--chip", "loihi2"), ("simulate", path, "--target", "loihi-sim"),
        ("verify", path, "--targets", "loihi-sim"),
    ):  # fmt: skip
        refused(run(*args), 4, "program.npz", said)


def test_a_net_is_no_artifact_and_an_artifact_no_run(run, lava_artifact, tmp_path, refused):
    path = tmp_path / "a.net"
    path.write_bytes(b"any")
    refused(run("simulate", path, "--target", "loihi-sim"), 3, "a.net", "run-net")
    refused(run("map", path, "--chip", "loihi2"), 3, "a.net", "run-net")
    refused(
        run("convert", lava_artifact, "--to", "onnx", "--out", tmp_path / "b"), 3, "is an artifact already"
    )


def test_artifact_with_a_file_missing(run, lava_artifact, tmp_path, refused):
    shutil.copytree(lava_artifact, tmp_path / "a")
    (tmp_path / "a" / "program.npz").unlink()
    refused(run("simulate", tmp_path / "a", "--target", "loihi-sim"), 3, "program.npz")


def test_not_an_artifact(run, tmp_path, refused):
    refused(run("simulate", tmp_path, "--target", "reference"), 3, "manifest.json")
    refused(run("verify", tmp_path / "no"), 3, "no")
    refused(run("energy-report", tmp_path, "--cost-table", "horowitz45-fp32", "--out", tmp_path / "e"), 3)
    assert not (tmp_path / "e").exists()


def test_out_that_is_something_else_is_left_alone(run, trained, tmp_path, refused):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    refused(run("convert", trained, "--to", "lava", "--out", tmp_path / "mine"), 3, "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"


def test_unknown_cost_table(run, lava_artifact, tmp_path, refused):
    got = run(
        "energy-report", lava_artifact, "--cost-table", "abacus", "--out", tmp_path / "e", "--limit", "1"
    )
    refused(got, 3, "abacus", "horowitz45-fp32")
    assert not (tmp_path / "e").exists()


def test_float_form_on_the_chip_is_unsupported(run, lava_artifact, refused):
    refused(run("simulate", lava_artifact, "--target", "loihi-sim", "--form", "float"), 4, "loihi-sim")


def test_net_with_an_unknown_layer(run, tmp_path, refused):
    path = tmp_path / "foreign.net"
    with h5py.File(path, "w") as file:
        file.create_dataset("layer/0/type", data=np.array([b"input"], "S10"))
        file.create_dataset("layer/0/shape", data=np.array([4]))
        file.create_dataset("layer/1/type", data=np.array([b"unpool"], "S10"))
        file.create_dataset("layer/1/shape", data=np.array([4]))
    refused(run("inspect", path), 4, "unpool")


def test_net_truncated(run, tmp_path, refused):
    path = tmp_path / "cut.net"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 40)
    refused(run("inspect", path), 3, "cut.net")


def test_unknown_dataset_is_named(run, tmp_path, refused):
    refused(run("train", "--dataset", "mnist", "--out", tmp_path / "r"), 3, "mnist", "nw-ucla")


@pytest.mark.parametrize(
    "pair",
    ["epochss=3", "epochs", "normalise=sideways", "momentum=7", "dv=2", "channels=0", "seed=7", "classes=5"],
)
def test_settings_that_make_no_sense(run, tmp_path, pair):
    got = run("train", "--dataset", "synthetic", "--out", tmp_path / "r", "--set", pair)
    assert got.code == 2 and "Traceback" not in got.err
    assert not (tmp_path / "r").exists()


def test_a_surrogate_that_is_unknown_is_named(run, tmp_path, refused):
    refused(run("train", "--out", tmp_path / "r", "--surrogate", "nope"), 2, "nope", "triangle")
    assert not (tmp_path / "r").exists()


def test_options_that_are_no_numbers(run, tmp_path, refused):
    out = ["train", "--out", tmp_path / "r"]
    refused(run(*out, "--data-option", "seed=abc"), 3, "seed", "whole number")
    assert run(*out, "--validation-subjects", "1,a").code == 2
    assert not (tmp_path / "r").exists()


def test_a_clip_repeated_for_a_model_of_frames(run, tmp_path):
    got = run("train", "--out", tmp_path / "run", "--repeat", 4)
    assert got.code == 2 and "takes one frame a step" in got.err and "Traceback" not in got.err
    assert not (tmp_path / "run").exists()


def test_a_gpu_that_is_not_there(run, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    got = run("train", "--out", tmp_path / "run", "--device", "cuda")
    assert got.code == 2 and "found no GPU" in got.err and len(got.error_lines) == 1
    assert not (tmp_path / "run").exists()
