"""Fine-tuning a run: never worse than where it began, resumed bit for bit, and the graph that is kept is the
graph that was validated."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from convert.ir import text, unpacked
from deploy.reference import Reference
from train import checkpoint
from train.checkpoint import CheckpointError, float_model, load_model
from train.config import TrainConfig
from train.data import registry as data
from train.data.clip import ClipSet
from train.data.transform import Recipe
from train.epochs import Best
from train.evaluate import accuracy, evaluate, mean_over_persons
from train.loop import fit
from train.material import gather
from train.objective import Seen
from train.processes import ALONE
from train.qat.description import Description
from train.qat.fine_tune import DEFAULTS, Choice, fine_tune, settings
from train.qat.network import IntegerNetwork
from train.qat.parent import FromParent
from train.trainer import TrainingError
from verbs.feed import feed_of, scores
from verbs.fine_tuning import description
from verbs.traced import folded, quantised, traced

CONFIG = TrainConfig(
    model_settings={"channels": [6, 8]}, epochs=3, batch=8, average=0.9, threads=1, validation_fraction=0.3
)
BITS = 3


class Interrupt(Exception):
    pass


@pytest.fixture(scope="module")
def clips() -> ClipSet:
    return data.load("synthetic", None, "train", train_per_class=4)


@pytest.fixture(scope="module")
def start(clips: ClipSet, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """The float parent as traced, and its graph of 3-bit weights."""
    run = tmp_path_factory.mktemp("parent") / "run"
    fit(CONFIG, Recipe(frames=6), clips, run, progress=False)
    parent = traced(run, "fine-tune")
    feed = feed_of(clips, parent.checkpoint.about, 16)
    integer, quantise = quantised(folded(parent.graph, "dense").split.chip, feed, BITS, 8)
    return parent, integer, description(integer, quantise)


@pytest.fixture(scope="module")
def tune(start: tuple, clips: ClipSet) -> Callable:
    def call(run: Path, resume: bool = False, on_epoch: Callable | None = None, distil: float = 1.0, **given):
        parent, _, begun = start
        config = settings(parent.checkpoint, {"epochs": 3, "lr": 0.05, **given})
        return fine_tune(
            parent.checkpoint, parent.model, begun, Choice(BITS, 8, "dense", distil), config, clips, run,
            host=None, layers=[], resume=resume, progress=False, on_epoch=on_epoch,
        )  # fmt: skip

    return call


@pytest.fixture(scope="module")
def straight(tune: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("straight") / "run"
    tune(run)
    return run


def log_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_the_start_is_a_candidate_and_the_best_is_never_worse(straight: Path) -> None:
    log = log_of(straight)
    assert [entry["epoch"] for entry in log] == [0, 1, 2, 3]
    assert "loss_train" not in log[0] and log[1]["loss_parent"] > 0
    assert all(0 < rate < 1 for entry in log[1:] for rate in entry["rates"].values()), "no spikes"
    best = max(log, key=lambda e: (e["accuracy_val"], -e["loss_val"]))
    kept = checkpoint.load(straight / "best.safetensors")
    assert kept.about["epoch"] == best["epoch"]
    assert kept.about["metrics"]["accuracy_val"] >= log[0]["accuracy_val"]
    assert len({entry["loss_val"] for entry in log}) == 4, "nothing was trained"


def test_a_fine_tuning_that_ruins_the_network_keeps_the_start(
    tune: Callable, start: tuple, tmp_path: Path
) -> None:
    result = tune(tmp_path / "run", lr=500.0, epochs=1, distil=0.0, average=0.0)
    log = log_of(tmp_path / "run")
    assert log[1]["loss_val"] > log[0]["loss_val"], "vacuous case"
    assert result.best == Best(0, log[0]["accuracy_val"], log[0]["loss_val"])
    kept = checkpoint.load(tmp_path / "run" / "best.safetensors").under("integer")
    _, _, begun = start
    assert all(np.array_equal(kept[k].numpy(), x) for k, x in begun.arrays.items())


def test_the_kept_graph_is_the_one_that_was_validated(straight: Path, start: tuple, clips: ClipSet) -> None:
    """The reference on the kept integers gives the network's scores, and the accuracy that was logged."""
    _, integer, begun = start
    kept = checkpoint.load(straight / "best.safetensors")
    graph = unpacked(kept.about["integer"], {k: x.numpy() for k, x in kept.under("integer").items()}, "kept")
    assert text(graph).splitlines()[0] == text(integer).splitlines()[0]
    assert graph.edges == integer.edges and list(graph.nodes) == list(integer.nodes)
    network = IntegerNetwork(begun)
    kept.load_into(network)
    held = gather(CONFIG, Recipe.from_dict(kept.about["recipe"]), clips, ALONE).held
    got = evaluate(network, held)
    record = Reference().compile(graph).run(held.folded())
    rows = torch.from_numpy(scores(graph, record).astype(np.float32))
    want = mean_over_persons(rows, torch.from_numpy(held.present)).numpy()
    assert np.array_equal(got, want)
    assert accuracy(got, held.labels) == kept.about["metrics"]["accuracy_val"]


def test_masters_of_every_layer_move(straight: Path, start: tuple) -> None:
    end = checkpoint.load(straight / "last.safetensors").under("model")
    begun = dict(IntegerNetwork(start[2]).named_parameters())
    assert begun and [n for n, p in begun.items() if torch.equal(p, end[n])] == []


@pytest.mark.parametrize("after", [0, 1, 2])
def test_resume_is_bit_identical(straight: Path, tune: Callable, tmp_path: Path, after: int) -> None:
    def stop(entry: dict) -> None:
        if entry["epoch"] == after:
            raise Interrupt

    run = tmp_path / "run"
    with pytest.raises(Interrupt):
        tune(run, on_epoch=stop)
    torch.manual_seed(12345)  # what ran in between must not matter
    tune(run, resume=True)
    for name in ("last.safetensors", "best.safetensors"):
        assert (run / name).read_bytes() == (straight / name).read_bytes()
    assert [e["epoch"] for e in log_of(run)] == [0, 1, 2, 3]


def test_resume_with_another_choice_is_refused(straight: Path, tune: Callable) -> None:
    with pytest.raises(TrainingError, match=r"qat.distil \(1.0 there, 0.5 here\)"):
        tune(straight, resume=True, distil=0.5)
    with pytest.raises(TrainingError, match=r"train_config.lr"):
        tune(straight, resume=True, lr=0.01)


def test_the_parents_loss_by_hand(tune: Callable, tmp_path: Path) -> None:
    """KL((1/2, 1/2) || (1/4, 3/4)) = log(4 / 3) / 2, of the persons' mean scores; the parent stays."""
    parent = torch.nn.Linear(1, 2)
    torch.nn.init.zeros_(parent.weight)
    torch.nn.init.zeros_(parent.bias)
    term = FromParent(parent, 3.0)
    assert not list(term.parameters()) and not term.state_dict()
    logits = torch.tensor([[0.0, np.log(3.0)]], requires_grad=True)
    seen = Seen(torch.ones(2, 1), torch.tensor([[True, True]]), torch.tensor([0]), logits)
    (loss,) = term(seen).values()
    assert loss.item() == pytest.approx(1.5 * np.log(4 / 3))
    loss.backward()
    # d KL / d logits = softmax(logits) - the parent's
    np.testing.assert_allclose(logits.grad.numpy(), [[-0.75, 0.75]], rtol=1e-6)
    assert parent.weight.grad is None
    tune(tmp_path / "alone", distil=0.0, epochs=1)
    assert "loss_parent" not in log_of(tmp_path / "alone")[1]


def test_the_model_of_a_fine_tuned_run(straight: Path, start: tuple, clips: ClipSet) -> None:
    """load_model gives the network of the integers, float_model the parent; the state alone gives neither."""
    network, kept = load_model(straight / "best.safetensors")
    held = gather(CONFIG, Recipe.from_dict(kept.about["recipe"]), clips, ALONE).held
    trained = IntegerNetwork(start[2])
    kept.load_into(trained)
    assert np.array_equal(evaluate(network, held), evaluate(trained, held))
    theirs = start[0].model.state_dict()
    assert all(torch.equal(x, theirs[k]) for k, x in float_model(kept).state_dict().items())
    assert kept.about["qat"]["parent"]["sha256"] == start[0].checkpoint.about["sha256"]
    for read in (load_model, lambda path: float_model(checkpoint.load(path))):
        with pytest.raises(CheckpointError, match=r"without its parent; expected its best.safetensors"):
            read(straight / "last.safetensors")


def test_settings_are_the_parents_but_for_the_defaults(start: tuple) -> None:
    checkpoint_ = start[0].checkpoint
    got = settings(checkpoint_, {"lr": 0.5})
    assert got == replace(CONFIG, **{**DEFAULTS, "lr": 0.5})
    assert got.batch == CONFIG.batch and got.validation_fraction == 0.3
    about = {**checkpoint_.about, "train_config": {**checkpoint_.about["train_config"], "optimizer": "adamw"}}
    assert settings(replace(checkpoint_, about=about), {}).optimizer == "sgd", "its lr is sgd's"
    assert settings(checkpoint_, {"optimizer": "adamw", "lr": 0.0005}).optimizer == "adamw"
    with pytest.raises(ValueError, match="epochs = 0"):
        settings(checkpoint_, {"epochs": 0})
    bare = replace(checkpoint_, about={k: v for k, v in checkpoint_.about.items() if k != "train_config"})
    with pytest.raises(CheckpointError, match="no train_config"):
        settings(bare, {})


def test_a_description_of_another_width_is_another_range(start: tuple) -> None:
    begun = start[2]
    wide = Description(begun.body, begun.arrays, begun.shapes, begun.masters, begun.units, 8)
    narrow, broad = (
        next(p for p in (IntegerNetwork(d).layers.values()) if hasattr(p, "low")) for d in (begun, wide)
    )
    assert (narrow.low, narrow.high) == (-4, 3) and (broad.low, broad.high) == (-128, 127)
