"""Training: epochs, validation, the best epoch, files. `fit` is the whole of it.

A run folder holds run.json (what the run is), log.jsonl and events/ (what happened),
last.safetensors (all that a resume needs) and best.safetensors (the weights to use), each
checkpoint with its JSON copy. The best epoch is the one with the highest accuracy on held-out
*training* subjects, the lower validation loss on a tie; the test split is not an argument of this
file.
"""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from train import checkpoint
from train.ahead import ahead
from train.begun import begin, identity, shared
from train.config import TrainConfig
from train.data import streams
from train.data.clip import ClipSet
from train.data.samples import Samples
from train.data.split import Split
from train.data.transform import Recipe
from train.evaluate import accuracy, evaluate
from train.files import json_bytes, write_whole
from train.journal import Journal
from train.material import Material, gather
from train.models import registry
from train.objective import Objective
from train.processes import ALONE, Processes
from train.rates import firing_rates
from train.revision import revision
from train.same_run import differences, refuse_another
from train.skeletons import Layout
from train.teacher import Teacher
from train.terms import registry as term_registry
from train.terms.registry import Setting
from train.trainer import SettingsError, Trainer, TrainingError, batches

BEST, LAST, RUN = checkpoint.BEST, "last.safetensors", "run.json"
Beside = Callable[[nn.Module], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Best:
    """The best epoch so far, counted from 1 (0: the model as it began); accuracy a share, loss in nats."""

    epoch: int = 0
    accuracy: float = -1.0
    loss: float = float("inf")

    def beaten_by(self, accuracy: float, loss: float) -> bool:
        """Higher accuracy, or the same at a lower loss."""
        return (accuracy, -loss) > (self.accuracy, -self.loss)


@dataclass(frozen=True, slots=True)
class Result:
    """What `fit` leaves: the folder, and the epoch its best.safetensors is of."""

    run: Path
    best: Best
    wall_s: float


def fit(
    config: TrainConfig,
    recipe: Recipe,
    data: ClipSet,
    run: Path,
    *,
    data_options: Mapping[str, Any] | None = None,
    resume: bool = False,
    progress: bool = True,
    group: Processes = ALONE,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Result:
    """Train on `data` (a training split) and fill the folder `run`.

    Mean and spread of the input come from the training clips alone. data_options are kept for whoever
    loads the same data again. on_epoch gets every log entry after its files are written. An
    interruption leaves the files of the last whole epoch. Of a `group`, every process calls this with
    the same arguments; the first one writes the files, calls on_epoch and shows the progress.
    """
    started = time.monotonic()
    teacher = Teacher.load(Path(config.teacher)) if config.teacher else None
    recipe = recipe if teacher is None else teacher.shared(recipe, data)
    start = checkpoint.load(Path(config.init)) if config.init else None
    recipe = recipe if start is None else shared("init", start.path, start.about, recipe, data)
    material = gather(config, recipe, data, group)
    about = _about(config, material.recipe, data, data_options or {}, teacher)
    about["init"] = None if start is None else identity(start.about)
    about["validation"] = material.record
    prepare_torch(config, group)
    model = registry.build(config.model, about["model_config"])
    if start is not None:
        begin(model, config.model, start)
    setting = _setting(model, material.held, len(data.class_names), material.layout, teacher)
    terms = term_registry.build(config, setting)
    objective = Objective(model, terms, config.label_smoothing)
    best = run_epochs(
        objective, config, about, material, run, group=group, resume=resume, progress=progress,
        on_epoch=on_epoch,
    )  # fmt: skip
    return Result(run, best, time.monotonic() - started)


def prepare_torch(config: TrainConfig, group: Processes) -> None:
    """Threads and the seed that parameters are drawn with."""
    torch.set_num_threads(group.threads(config.threads))
    torch.manual_seed(config.seed)


def run_epochs(
    objective: Objective,
    config: TrainConfig,
    about: dict[str, Any],
    material: Material,
    run: Path,
    *,
    group: Processes,
    resume: bool,
    progress: bool,
    on_epoch: Callable[[dict[str, Any]], None] | None,
    beside: Beside | None = None,
    from_start: bool = False,
) -> Best:
    """Train, validate and keep, epoch by epoch; the best one.

    beside: tensors that best.safetensors holds beside the weights of a model. from_start: the model as it is
    given is a candidate too, as epoch 0.
    """
    _refuse_unlike(group, about, material.split)
    iterations = -(-len(material.split.train) // config.batch) * config.epochs
    trainer = Trainer(objective, config, iterations, group)
    last = _open(run, about, material.split, resume, group)  # after all that may refuse: no folder is left
    first, best = (1, Best()) if last is None else _resumed(trainer, last)
    keeper = _Keeper(run, about, trainer, beside)
    hidden = not (progress and group.first)
    with (
        Journal(run, -1 if last is None else first - 1) if group.first else nullcontext() as journal,
        tqdm(total=trainer.iterations, initial=trainer.done, disable=hidden, unit="it") as bar,
    ):
        for epoch in range(0 if from_start and last is None else first, config.epochs + 1):
            entry: dict[str, Any] = {"epoch": epoch}
            if epoch:
                entry |= _train_epoch(trainer, material, epoch, bar)
            entry |= _validate(trainer.best_model, material.held, epoch, group)
            if journal:  # first: a resume drops a line beyond its checkpoint, but cannot write a missing one
                journal.write(entry)
            best = keeper.keep(best, entry)
            if on_epoch and group.first:
                on_epoch(entry)
    return best


def _resumed(trainer: Trainer, last: checkpoint.Checkpoint) -> tuple[int, Best]:
    """The trainer as it was after the checkpoint's epoch; the next epoch, and the best so far."""
    trainer.restore(last)
    epoch, per_epoch = last.about["epoch"], trainer.iterations // trainer.config.epochs
    if trainer.done != per_epoch * epoch:
        raise TrainingError(
            f"{last.path.parent}: found {trainer.done} iterations in {epoch} epochs, expected "
            f"{per_epoch} an epoch; the data is not what the run began with: restore it"
        )
    return epoch + 1, Best(**last.about["best"])


def _setting(model: nn.Module, held: Samples, classes: int, here: Layout, teacher: Teacher | None) -> Setting:
    """What terms of the objective are built for."""
    return Setting(model, torch.from_numpy(held.limit(1).folded()), classes, here, teacher)


def _about(
    config: TrainConfig, recipe: Recipe, data: ClipSet, options: Mapping[str, Any], teacher: Teacher | None
) -> dict[str, Any]:
    """The description that every checkpoint of the run carries."""
    settings = {
        **config.model_settings,
        "in_channels": streams.channels(recipe.stream),
        "classes": len(data.class_names),
        "layout": data.layout,
    }
    if "frames" in registry.fields_of(config.model):  # a model of a whole window
        settings["frames"] = recipe.frames
    kept = {"name": data.name, "layout": data.layout, "options": dict(options)}
    try:
        model_config = registry.config(config.model, settings)
        registry.check_repeat(config.model, recipe.repeat)
    except (ValueError, TypeError) as error:
        raise SettingsError(str(error)) from error
    about = {
        "model": config.model,
        "model_config": registry.to_dict(model_config),
        "recipe": recipe.to_dict(),
        "dataset": kept,
        "classes": list(data.class_names),
        "train_config": config.to_dict(),
        "seed": config.seed,
        "revision": revision(),
        "teacher": teacher.identity if teacher is not None else None,
    }
    return json.loads(json_bytes(about))  # as it will be read back


def _refuse_unlike(group: Processes, about: dict[str, Any], split: Split) -> None:
    """Every process must train the same run: commands and data of several machines may differ."""
    ids = hashlib.sha256("\n".join(clip.id for clip in (*split.train, *split.validation)).encode())
    options = {k: v for k, v in about["dataset"]["options"].items() if k != "path"}  # a machine's own
    described = {**about, "dataset": {**about["dataset"], "options": options}, "clips": ids.hexdigest()}
    mine = json.loads(json_bytes(described))  # as it comes from process 0
    first = group.told(mine)
    if odd := [key for key in mine if mine[key] != first[key]]:
        raise TrainingError(
            f"process {group.rank} of {group.size} differs from process 0: {differences(first, mine, odd)}; "
            "start all with the same settings, data and code"
        )


def _open(
    run: Path, about: dict[str, Any], split: Split, resume: bool, group: Processes
) -> checkpoint.Checkpoint | None:
    """`_opened` by the first process, told to the others: they need not see the folder."""
    last = _opened(run, about, split, resume, group) if group.first else None
    described = group.told(last and last.about)
    if described is None:
        return None
    return checkpoint.Checkpoint(run / LAST, group.told_tensors(last.tensors if last else {}), described)


def _opened(
    run: Path, about: dict[str, Any], split: Split, resume: bool, group: Processes
) -> checkpoint.Checkpoint | None:
    """Make the run folder, or find the checkpoint to continue from; None is a start from the beginning."""
    if resume and (run / RUN).is_file() and not (run / LAST).exists():
        refuse_another(run, _read_facts(run / RUN), about)  # interrupted in its first epoch
        return None
    if resume:
        last = checkpoint.load(run / LAST)
        refuse_another(run, last.about, about)
        return last
    if (run / LAST).exists() or (run / RUN).exists():
        raise TrainingError(f"{run}: holds a run already; resume it or choose another folder")
    run.mkdir(parents=True, exist_ok=True)
    facts = {
        "split": split.note,
        "clips": {"train": len(split.train), "validation": len(split.validation)},
        "processes": group.size,
        "device": group.device.type,
        "versions": {
            "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
        },
    }  # fmt: skip
    write_whole(run / RUN, json_bytes({**about, **facts}))
    return None


def _read_facts(path: Path) -> dict[str, Any]:
    """What run.json says."""
    try:
        facts = json.loads(path.read_bytes())
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise TrainingError(f"{path}: found no JSON object, expected what a run was begun with; start anew")
    return facts


def _train_epoch(trainer: Trainer, material: Material, epoch: int, bar: tqdm) -> dict[str, Any]:
    """One pass over the training clips; the epoch's loss, accuracy, rates, as a log entry."""
    trainer.objective.train()
    group = trainer.group
    # Dropout: a function of the epoch, and of the process: two parts of a batch shall not share their masks.
    torch.manual_seed(trainer.config.seed * 1_000_003 + epoch + group.rank * 2**53)
    loss = right = seen = 0
    parts: dict[str, float] = {}
    started = time.monotonic()
    coming = batches(material.split.train, material.recipe, material.layout, trainer.config, epoch, group)
    with firing_rates(trainer.model) as rates, ahead(coming) as made:
        for x, labels, whole in made:
            lr = trainer.lr
            value, scores, of_terms = trainer.update(x, labels, whole)
            seen += len(labels)
            loss += value * len(labels)
            parts = {k: parts.get(k, 0.0) + v * len(labels) for k, v in of_terms.items()}
            right += int((scores.argmax(1) == labels).sum())
            bar.set_postfix_str(
                f"epoch {epoch} loss {loss / seen:.3f} acc {right / seen:.3f} rate {rates.mean():.3f}",
                refresh=False,
            )
            bar.update()
    rates.gather(group)
    sums = torch.tensor([loss, right, seen, *parts.values()], dtype=torch.float64)
    loss, right, seen, *totals = group.total(sums).tolist()
    parts = dict(zip(parts, totals, strict=True))
    return {
        "lr": lr,
        "loss_train": loss / seen,
        **{f"loss_{name}": total / seen for name, total in parts.items()},
        "accuracy_train": right / seen,
        "rate": rates.mean(),
        "rates": rates.per_layer(),
        "epoch_s": time.monotonic() - started,
    }


def _validate(model: nn.Module, held: Samples, epoch: int, group: Processes) -> dict[str, float]:
    # A neuron whose membrane is NaN stays silent, so that a broken layer need not show in the loss.
    wrong = [name for name, x in model.state_dict().items() if not torch.isfinite(x).all()]
    if wrong:
        raise TrainingError(
            f"epoch {epoch}: NaN or infinity in {wrong[0]}; lower lr or set clip_norm; "
            "the last checkpoint is untouched"
        )
    scores = evaluate(model, held, group=group)
    loss = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(held.labels))
    return {"loss_val": float(loss), "accuracy_val": accuracy(scores, held.labels)}


@dataclass(frozen=True, slots=True, eq=False)
class _Keeper:
    """Writes the checkpoints of a run."""

    run: Path
    about: dict[str, Any]
    trainer: Trainer
    beside: Beside | None

    def keep(self, best: Best, entry: dict[str, Any]) -> Best:
        """Write last, and best where this epoch is it (the first process does); the best so far."""
        # Times stay in the log: the same run twice gives the same checkpoint, byte for byte.
        metrics = {k: v for k, v in entry.items() if isinstance(v, float) and k != "epoch_s"}
        of_epoch = {**self.about, "epoch": entry["epoch"], "metrics": metrics}
        if best.beaten_by(entry["accuracy_val"], entry["loss_val"]):
            best = Best(entry["epoch"], entry["accuracy_val"], entry["loss_val"])
            if self.trainer.group.first:
                checkpoint.save(self.run / BEST, self._weights(), of_epoch)
        state = {
            "iterations_done": self.trainer.done,
            "best": {"epoch": best.epoch, "accuracy": best.accuracy, "loss": best.loss},
        }
        # Best first: an interruption in between repeats this epoch, and writes the same best again.
        if self.trainer.group.first:
            checkpoint.save(self.run / LAST, self.trainer.tensors(), {**of_epoch, **state})
        return best

    def _weights(self) -> dict[str, Tensor]:
        model = self.trainer.best_model
        weights = {f"model.{k}": x for k, x in model.state_dict().items()}
        return weights | dict(self.beside(model) if self.beside else {})
