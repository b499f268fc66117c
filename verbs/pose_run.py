"""A trained or converted pose network, opened: what it is, its people, and what infers their joints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.artifact import POSE, SIGMA_DELTA, Artifact, is_artifact, open_artifact
from convert.ir import BadInput
from verbs.options import cores

if TYPE_CHECKING:
    from train.pose.codecs.codec import Codec
    from train.pose.data.person import PoseSet
    from train.pose.predict import Infer
    from train.pose.recipe import PoseRecipe

KEPT = ("model", "model_config", "dataset", "recipe", "codec", "joints", "classes", "epoch")


@dataclass(frozen=True, eq=False)
class PoseRun:
    """about: the checkpoint's description, or what an artifact kept of it. form: "float", "int8" or
    "sigma-delta"; by: "torch", "onnx" or "loihi-sim". model: the torch model, where there is one."""

    path: Path
    about: Mapping[str, Any]
    digest: str
    by: str
    form: str
    infer: Infer
    model: Any = None

    @property
    def recipe(self) -> PoseRecipe:
        """That the network was trained with."""
        from train.pose.recipe import PoseRecipe

        return PoseRecipe.from_dict(self.about["recipe"])

    @property
    def codec(self) -> Codec:
        """That the network was trained with, as torch reads it here: with this version's constants."""
        from train.pose.codecs.registry import codec_of

        return codec_of(self.about["codec"])

    def people(self, dataset: str | None, data: Path | None, split: str, limit: int | None) -> PoseSet:
        """The people of a split, of the data set that the network was trained on by default."""
        return load_people(self.about, dataset, data, split, limit)


def load_people(
    about: Mapping[str, Any], dataset: str | None, data: Path | None, split: str, limit: int | None
) -> PoseSet:
    """The people of a split; about: of a checkpoint, or what an artifact kept of it. BadInput where their
    joints are not the network's."""
    from train.pose.data import registry
    from verbs.feed import data_set

    name, where, options = data_set(about, dataset, data, split)
    found = registry.load(name, where, split, **options)
    if list(found.keypoints.joints) != list(about["joints"]):
        raise BadInput(
            f"{name}: joints of {found.keypoints.name}, the model finds those of "
            f"{about['dataset']['layout']}; choose a data set with the model's joints"
        )
    return found if limit is None else found.spread(limit)


def is_pose(path: Path) -> bool:
    """Whether a run folder, a checkpoint or an artifact is of a pose network; what is unreadable is not."""
    if is_artifact(path):
        return open_artifact(path).kind in (POSE, SIGMA_DELTA)
    return task_at(path) == "pose"


def task_at(path: Path) -> str | None:
    """The task of the model of a run folder or a checkpoint (train.models.registry), by its description
    alone; None where there is no readable one: whoever opens it says what is wrong with it."""
    from train.checkpoint import CheckpointError, description
    from train.models.registry import MODELS

    if is_artifact(path):
        return None
    try:
        model = description(path)["model"]
    except CheckpointError:
        return None
    return MODELS[model].task if model in MODELS else None


def open_pose(path: Path, threads: int | None, flip: bool = False) -> PoseRun:
    """A run folder or checkpoint, run by torch, an artifact of kind pose, run by ONNX Runtime, or one of kind
    sdnn, by the Loihi simulator: each image from rest.

    flip: average with the mirror image (torch alone).
    """
    if is_artifact(path):
        return _converted(open_artifact(path), threads, flip)
    import torch

    from train.checkpoint import load_model
    from train.pose.codecs.registry import codec_of
    from train.pose.data.keypoints import keypoint_set
    from train.pose.predict import by_torch

    torch.set_num_threads(threads or cores())
    model, checkpoint = load_model(path)
    about = checkpoint.about
    exchanged = keypoint_set(about["dataset"]["layout"]) if flip else None
    model = model.to(memory_format=torch.channels_last)
    infer = by_torch(model, codec_of(about["codec"]), exchanged)
    return PoseRun(path, about, about["sha256"], "torch", "float", infer, model)


def _converted(artifact: Artifact, threads: int | None, flip: bool) -> PoseRun:
    from deploy.pose.network import PoseNetwork
    from deploy.pose.sigma_delta import SigmaDeltaPose

    if flip:
        raise BadInput(f"{artifact.path}: found --flip-test; its decoder is in the graph: evaluate the run")
    threads, about = threads or cores(), artifact.about["source"]
    network: PoseNetwork | SigmaDeltaPose
    if artifact.kind == SIGMA_DELTA:
        by, network = "loihi-sim", SigmaDeltaPose.load(artifact, threads)
    else:
        by, network = "onnx", PoseNetwork.load(artifact.file("pose.onnx"), threads)
    return PoseRun(
        artifact.path, about, artifact.about["checkpoint"]["sha256"], by, artifact.about["form"],
        lambda x, _: network.joints(x),
    )  # fmt: skip
