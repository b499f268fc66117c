"""`train`: a model on a data set, into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from verbs.classes import percent
from verbs.configuring import POSES, configured, named, said, settings
from verbs.options import cores, json_option, quantisation_options
from verbs.output import say, table, write_json
from verbs.settings import pair, parsed

if TYPE_CHECKING:
    from train.configuration import Configuration
    from train.epochs import Result
    from train.processes import Processes

MODELS = (
    "base-sgn, base-sgn-attention, signal-sgn, mk-sgn; of real values gcn-teacher, st-gcn, ctr-gcn; of poses "
    "ogn, keypoint-rcnn. docs/models.md says what each is."
)
STREAMS = (
    "joint, bone, joint-motion, bone-motion; join several by + (joint+bone): channels side by side. Default: "
    "the model's or the configuration's, else joint+bone."
)
OWN = "Default: as configured."


@click.command(short_help="Train a model.")
@click.option("--model", default="base-sgn", show_default=True, metavar="NAME", help=MODELS)
@click.option(
    "--config",
    "config_name",
    default=None,
    metavar="NAME",
    help="Configuration (`cli.py datasets` lists them) or a .toml file: data set, protocol, recipe, schedule."
    " Options given beside it go first. Default: the data set's own, where it has one.",
)
@click.option(
    "--dataset",
    default="synthetic",
    metavar="NAME",
    help="Data set; see `cli.py datasets`. Default: synthetic, of poses synthetic-people.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    metavar="PATH",
    help="Where the data set lies; none for synthetic and synthetic-people.",
)
@click.option("--stream", default="joint+bone", help=STREAMS)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="RUN",
    help="Folder of the run: checkpoints, log, TensorBoard events.",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), default=None, help=f"Passes over the training split. {OWN}"
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=None,
    help=f"Clips (or people, or images) per step, over all processes. {OWN}",
)
@click.option("--lr", type=float, default=None, help=f"Highest learning rate of the schedule. {OWN}")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Same seed, machine and threads: the same result, bit for bit.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=None,
    help="Threads of this machine, shared by the processes on it. Default: all cores.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train; auto: a GPU where there is one.",
)
@click.option(
    "--amp",
    type=click.Choice(["none", "bf16", "fp16"]),
    default=None,
    help="Products of the training in 16 bits; membranes, norms, validation and files stay float32."
    " Default: none.",
)
@click.option(
    "--frames", type=click.IntRange(min=1), default=None, help=f"Frames a clip is resampled to. {OWN}"
)
@click.option(
    "--repeat",
    type=click.IntRange(min=0),
    default=None,
    help="0: a frame is a step. N: the whole clip is shown N steps. Default: what the model takes.",
)
@click.option(
    "--backend",
    type=click.Choice(["house", "step", "norse-lif", "norse-lifbox"]),
    default="house",
    show_default=True,
    help="Who computes the neurons; all agree (norse: up to rounding), house is the fast one.",
)
@click.option(
    "--variant", default=None, help="Form of a model that has several: signal-sgn binary, released."
)
@click.option("--surrogate", default=None, help="Surrogate gradient: sigmoid, atan, triangle, ...")
@click.option(
    "--teacher",
    type=click.Path(path_type=Path),
    default=None,
    metavar="RUN",
    help="A trained run, or its .safetensors, to learn from: same classes, joints and frames, this run's"
    " streams or more."
    " --set distil_features=A, distil_labels=B, temperature=T weigh what is learned.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="A .safetensors file of a backbone (poses) to begin from. Nothing is ever downloaded.",
)
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    default=None,
    metavar="RUN",
    help="Begin with the weights of another run of the same model on the same data and recipe, as when its"
    " schedule was too short; dropout, optimiser, terms and the like may differ, and residual branches that"
    " it lacks begin silent. Its --stream may be another: bone learns sooner from joint than from nothing.",
)
@click.option(
    "--refit",
    type=click.Path(path_type=Path),
    default=None,
    metavar="RUN",
    help="Train RUN once more on all its training clips, those it held out included, for as many epochs as"
    " its validation chose; settings and data are RUN's. --init, --teacher and --seed may be others.",
)
@click.option(
    "--validation-subjects",
    default=None,
    metavar="S,S,...",
    help="Training subjects held out to choose the epoch, whole. Default: the like of what the test alone "
    "has: a tenth of the performances where it shows known people from another view, the smallest setups "
    "where it shows other setups, else the smallest subjects.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any other field of the training config (lr schedule, weight_decay, average, ...), of the data "
    "recipe (normalise, rotate_y_deg, ...) or of the model (channels, dv, ...). Repeatable.",
)
@click.option(
    "--data-option",
    "data_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Option of the data set, such as train_per_class=40 for synthetic. Repeatable.",
)
@click.option(
    "--qat",
    type=click.Path(path_type=Path),
    default=None,
    metavar="RUN",
    help="Fine-tune the integers that RUN is deployed as: data, recipe and validation are RUN's.",
)
@quantisation_options
@click.option("--resume", is_flag=True, help="Go on with an interrupted run; ends bit-identical.")
@json_option
@click.pass_context
def train(ctx: click.Context, **given: Any) -> None:
    """Train a model and choose its epoch on held-out training subjects, never on the test set.

    \b
    python cli.py train --dataset synthetic --out runs/demo --epochs 8
    python cli.py train --dataset nw-ucla --data DIR --stream joint+bone --out runs/ucla
    python cli.py train --config ntu60-xview --data ntu60.h5 --out runs/ntu60-xview
    python cli.py train --model mk-sgn --dataset nw-ucla --data DIR --teacher runs/teacher --out runs/student
    python cli.py train --model ogn --dataset lspet --data DIR --out runs/lspet
    python cli.py train --refit runs/ucla --out runs/ucla-all
    python cli.py train --qat runs/ucla --bits 4 --out runs/ucla-4

    What is not given is the configuration's, or the model's own; `cli.py inspect RUN` shows all of it.

    RUN gets best.safetensors (the chosen epoch), last.safetensors (for --resume), log.jsonl and events/
    for TensorBoard. Ctrl-C loses at most the running epoch: go on with --resume. With --qat the chip's own
    arithmetic is trained (docs/qat.md): --bits, --input-bits and --adjacency are as in `convert`, which takes
    such a RUN as any other; --set also takes distil, the weight of the parent's scores in the loss.

    Several processes (docs/training.md), one a GPU or some a CPU; the batch is divided over them:

    \b
    torchrun --nproc-per-node 2 cli.py train --dataset synthetic --out runs/two
    """
    from train.processes import joined
    from verbs.fine_tuning import fine_tune, refuse_without
    from verbs.refitting import refitted

    tuned = given["qat"] is not None
    if not tuned:
        refuse_without(ctx)
    way = fine_tune if tuned else _fitted if given["refit"] is None else refitted
    with joined("cpu" if tuned else given["device"]) as group:
        result = way(ctx, given, group)
        if group.first:
            _told(result, given["json_path"])


def _fitted(ctx: click.Context, given: dict[str, Any], group: Processes) -> Result:
    """A model trained from the beginning: what every process does."""
    from train.data import registry
    from train.loop import fit
    from verbs.pose_training import pose_fit

    chosen = configured(ctx, given)
    if named(given["model"]).task in POSES:
        return pose_fit(ctx, given, chosen, group)
    if _of_poses(chosen.dataset):
        raise click.UsageError(f"--dataset {chosen.dataset}: is of poses; add --model ogn, or keypoint-rcnn")
    if given["weights"] is not None:
        raise click.UsageError(f"--weights: {given['model']} is trained from the beginning; leave it out")
    config, recipe = _config(given, chosen), _recipe(ctx, given, chosen)
    options = {**chosen.data, **dict(pair(item) for item in given["data_options"])}
    data = given["data"]
    clips = registry.load(chosen.dataset, data, "train", **options)
    kept = {**options, **({"path": str(data.resolve())} if data is not None else {})}
    if clips.dropped and group.first:
        click.echo(f"left out {len(clips.dropped)} clips or bodies: {clips.dropped[0]} ...", err=True)
    return fit(config, recipe, clips, given["out"], data_options=kept, resume=given["resume"], group=group)


def _of_poses(dataset: str) -> bool:
    """Whether it is a data set of poses; their registry, which brings OpenCV, is asked last."""
    from train.data import registry

    if dataset in registry.names():
        return False
    from train.pose.data import registry as poses

    return dataset in poses.names()


def _told(result: Result, json_path: Path | None) -> None:
    """The result, on the screen and as JSON."""
    best = result.best
    say(
        table(
            ("run", "best epoch", "validation accuracy", "minutes"),
            [(result.run, best.epoch, percent(best.accuracy), f"{result.wall_s / 60:.1f}")],
        )
    )
    write_json(
        json_path,
        {
            "run": str(result.run),
            "best_epoch": best.epoch,
            "validation_accuracy": best.accuracy,
            "wall_s": result.wall_s,
        },
    )


def _config(given: dict[str, Any], chosen: Configuration) -> Any:
    from train.config import TrainConfig

    found = settings(given)
    own = {**chosen.settings, **found["model"]}
    model = {**own, **_of_model(given, own)}
    distil = sorted({"distil_features", "distil_labels", "temperature"} & set(found["train"]))
    if distil and given["teacher"] is None:
        raise click.UsageError(f"--set {distil[0]}: there is no teacher; name one with --teacher")
    values = {
        **chosen.train,
        **found["train"],
        "model": given["model"],
        "model_settings": model,
        "seed": given["seed"],
        "threads": given["threads"] or cores(),
        **{key: "" if given[key] is None else str(given[key].resolve()) for key in ("teacher", "init")},
    }
    values |= {k: given[k] for k in ("epochs", "batch", "lr", "amp") if given[k] is not None}
    if given["validation_subjects"]:
        chosen = parsed(given["validation_subjects"])
        values["validation_subjects"] = chosen if isinstance(chosen, list) else [chosen]
        if not all(type(s) is int for s in values["validation_subjects"]):
            raise click.UsageError(f"--validation-subjects {given['validation_subjects']}: expected numbers")
    try:
        return TrainConfig.from_dict(values)
    except (ValueError, TypeError) as error:
        raise click.UsageError(str(error)) from error


def _of_model(given: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Back-end, surrogate and variant, as fields of the model; not every model has them."""
    from train.models.registry import fields_of

    known = fields_of(given["model"])
    asked = {name: given[name] for name in ("backend", "surrogate", "variant")}
    if given["backend"].startswith("norse") and not given["surrogate"]:
        asked["surrogate"] = settings.get("surrogate", "triangle")  # the one both know
    odd = [name for name, value in asked.items() if name not in known and value not in (None, "house")]
    if odd:
        raise click.UsageError(f"--{odd[0]}: {given['model']} has no such setting; leave it out")
    return {name: value for name, value in asked.items() if name in known and value}


def _recipe(ctx: click.Context, given: dict[str, Any], chosen: Configuration) -> Any:
    from train.data.recipe import Recipe
    from train.models.registry import check_repeat

    of_model = named(given["model"]).recipe
    starts = {**of_model, **chosen.recipe} if chosen.model else {**chosen.recipe, **of_model}
    values = {"stream": given["stream"], **starts, **settings(given)["recipe"]}
    if said(ctx, "stream"):
        values["stream"] = given["stream"]
    values |= {k: given[k] for k in ("frames", "repeat") if given[k] is not None}
    try:
        recipe = Recipe.from_dict(values)
        check_repeat(given["model"], recipe.repeat)
    except (ValueError, TypeError) as error:
        raise click.UsageError(str(error)) from error
    return recipe
