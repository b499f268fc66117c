"""`energy-report --torch`: counts of any torch module, as it is."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from verbs.output import bar, say, write_json
from verbs.report_options import Asked, told

Command = Callable[..., Any]
UNFIT = (
    "core_map", "measure", "power_log", "name", "form", "clip", "dataset", "data", "split", "workers",
    "cluster", "threads", "page_samples",
)  # fmt: skip
"""Options of energy-report that a torch module has no use for, as their parameters are called."""


def torch_options(command: Command) -> Command:
    """--torch, --input, --time-major, --operand: a torch module in the place of an artifact."""
    for option in (
        click.option(
            "--operand",
            type=click.Choice(["real", "binary"]),
            default="real",
            show_default=True,
            help="With --torch: what the input holds; binary: spikes, 0 and 1 alone.",
        ),
        click.option(
            "--time-major",
            is_flag=True,
            help="With --torch: the first axis of a sample is steps; the model takes [T, 1, ...].",
        ),
        click.option(
            "--input",
            "source",
            default=None,
            metavar="SHAPE|FILE",
            help="With --torch: a sample's shape (3x32x32; noise of seed 0, --limit samples), a .npy file of "
            "samples, or a .npz with x and y. int32 and int64 are given as they are, other numbers as the "
            "model's floats.",
        ),
        click.option(
            "--torch",
            "factory",
            default=None,
            metavar="MODULE:FACTORY",
            help="Count a torch module as it is, no artifact. The Python module is imported from the current "
            "folder or the path, which RUNS ITS CODE: name only what you trust.",
        ),
    ):
        command = option(command)
    return command


def checked(artifact: Path | None, factory: str | None, source: str | None) -> None:
    """One of an artifact and --torch, and an input for the latter; else the command line is wrong."""
    context = click.get_current_context()
    given = context.get_parameter_source
    if (artifact is None) == (factory is None):
        raise click.UsageError("give an ARTIFACT, or --torch MODULE:FACTORY with --input")
    own = [
        o for o in ("source", "time_major", "operand") if given(o) is click.core.ParameterSource.COMMANDLINE
    ]
    if factory is None and own:
        raise click.UsageError("--input, --time-major and --operand go with --torch")
    if factory is not None and source is None:
        raise click.UsageError("--torch needs --input SHAPE|FILE")
    unfit = [o for o in UNFIT if given(o) is click.core.ParameterSource.COMMANDLINE]
    if factory is not None and unfit:
        names = {p.name: p.opts[0] for p in context.command.params}
        raise click.UsageError(f"{', '.join(names[o] for o in unfit)}: not with --torch")


def report_torch(asked: Asked) -> None:
    """The report of a module on its samples, one sample at a time."""
    from convert.ir import BadInput
    from energy.bills import check_conventions, check_host
    from energy.costs import open_cost_table
    from energy.priced import Terms
    from energy.report import Report
    from energy.torch_counts.factory import build
    from energy.torch_counts.samples import given
    from energy.torch_counts.settings import Settings
    from verbs.conventions import chosen
    from verbs.pricing import described

    prices, conventions = open_cost_table(asked.cost_table), chosen(asked.conventions, asked.switches)
    check_conventions(prices, conventions)
    if prices.memory is not None and prices.memory.in_total:
        raise BadInput(
            f"{prices.name}: its total holds memory accesses, which are counted on a converted model alone; "
            "choose an arithmetic table, or report on an artifact"
        )
    host = None if asked.host_table is None else open_cost_table(asked.host_table)
    check_host(prices, host)
    why = "a torch module was counted by itself: report on an artifact for it"
    axis = "is not followed to any layer" if asked.time_major else "is not known: --time-major says the first"
    terms = Terms(
        conventions, asked.allow_uncounted, why, host, why, why, f"the module's axis of steps {axis}"
    )
    model = build(str(asked.factory))
    samples = given(str(asked.source), asked.limit)
    header = {
        "artifact": asked.factory,
        "target": "torch",
        "form": "float",
        "model": type(model).__name__,
        "dataset": samples.what,
        "split": "all",
        "n_samples": len(samples.x),
        "counted": "one sample at a time",
        "time_major": asked.time_major,
        **described(terms),
        **_provenance(model, samples),
    }
    with Report(asked.out, prices, header, terms) as report:
        _fill(report, model, samples, Settings(), asked.time_major, asked.operand)
        summary = report.close()
    say(report.table())
    told(asked.out, len(samples.x))
    write_json(asked.json_path, summary)


def _fill(report: Any, model: Any, samples: Any, settings: Any, time_major: bool, operand: str) -> None:
    """Sample after sample; nothing of one is kept."""
    import torch

    from convert.ir import BadInput
    from energy.torch_counts.counter import TOKENS, ModelRaised, TorchCounter

    counter = TorchCounter(model, settings, time_major, operand)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    names: list[str] | None = None
    with bar(len(samples.x), "torch") as progress:
        for n in range(len(samples.x)):
            given = torch.as_tensor(samples.sample(n))
            given = given if given.dtype in TOKENS and operand == "real" else given.to(dtype)
            try:
                answer, counts = counter.count(given)
            except ModelRaised as error:
                said = " ".join(str(error.__cause__).split())[:160]
                lead = "[T, 1, ...]" if time_major else "[1, ...]"
                kind = str(given.dtype).removeprefix("torch.")
                raise BadInput(
                    f"sample {n}: the model does not take {kind} {tuple(given.shape)} as {lead} ({said}); "
                    "check --input and --time-major"
                ) from error
            found = [line.name for line in counts.lines]
            if names is not None and found != names:
                odd = next(iter(set(found) ^ set(names)), "another order")
                raise BadInput(
                    f"sample {n}: the model runs other operations ({odd}) than before; report on it alone"
                )
            names = found
            report.add(counts, [n], *_judged(answer, samples, n))
            progress.update()


def _judged(answer: Any, samples: Any, n: int) -> tuple[list[int] | None, list[int] | None]:
    """(labels, predictions) of one sample, where the model gives one row of scores."""
    import torch

    label = None if samples.labels is None else [int(samples.labels[n])]
    one = isinstance(answer, torch.Tensor) and answer.dim() == 2 and len(answer) == 1
    return label, [int(answer.argmax())] if one and answer.is_floating_point() and answer.numel() else None


def _provenance(model: Any, samples: Any) -> dict[str, Any]:
    import numpy as np
    import torch

    from train.revision import revision

    sealed = hashlib.sha256()
    for name, values in (*model.named_parameters(), *model.named_buffers()):
        sealed.update(name.encode())
        sealed.update(values.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return {
        "fingerprint": sealed.hexdigest(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "data_sha256": samples.digest(),
        "tool": {"name": "basalt", "revision": revision()},
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
        "machine": {"system": platform.system(), "processor": platform.machine()},
    }
