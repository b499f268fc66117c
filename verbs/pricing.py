"""What `energy-report` prices counts by, and what it measures: from an artifact and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click import UsageError

from convert.artifact import POSE, SIGMA_DELTA, Artifact
from convert.ir import BadInput, Program
from energy.conventions import Convention
from energy.priced import Terms

FLOAT_BITS, BYTE = 32, 8


def terms(
    opened: Artifact,
    loaded: Any,
    conventions: Sequence[Convention],
    allow_uncounted: bool,
    core_map: Path | None,
    host_table: str | None,
) -> Terms:
    """Terms of one artifact as it was loaded; BadInput for a map of another artifact, or of no program."""
    from energy.bit_budget import Bits
    from energy.costs import open_cost_table
    from energy.layer import layers
    from energy.movement import Machine
    from energy.routing import hosted, sources

    program = loaded.model if isinstance(loaded.model, Program) else None
    if core_map is not None and program is None:
        raise BadInput(
            f"--map {core_map}: a graph is counted, and no cores hold one; report on a lava artifact"
        )
    cores = None if core_map is None else _cores(core_map, opened.fingerprint)
    host = None if host_table is None else open_cost_table(host_table)
    machine = Machine(
        layers(loaded.model, loaded.host, whole=opened.kind == POSE),
        cores, None if program is None else sources(program),
        hosted(program, cores) if program is not None and cores is not None else frozenset(),
    )  # fmt: skip
    quantised = opened.about.get("quantisation") or {}
    whole = loaded.form != "float"
    bits = Bits(quantised.get("bits", BYTE), quantised.get("input_bits", BYTE)) if whole else Bits(FLOAT_BITS)
    return Terms(tuple(conventions), allow_uncounted, machine, host, _twin(opened), bits)


def _cores(path: Path, fingerprint: str) -> Any:
    from energy.routing import core_map

    found = core_map(path)
    if found.fingerprint != fingerprint:
        raise BadInput(f"--map {path}: it maps another artifact; write one of this with cli.py map --out")
    return found


def _twin(opened: Artifact) -> Any:
    """The float graph without spikes: one pass of a repeated clip, else one of each frame, one of an image;
    why there is none where the recipe does not say how many steps there are."""
    from energy.baselines import twin

    if opened.kind == POSE:
        return twin(opened.graph("float"), 1, 1, BYTE)
    if opened.kind == SIGMA_DELTA:
        return "a break-even rate is of spikes, and changes have sizes; dense_mac has the dense MACs"
    recipe = opened.about["source"]["recipe"]
    run = int(recipe.get("repeat", 0) or recipe.get("frames", 0))
    if not run:
        return "the artifact's recipe does not say how many steps a sample has"
    return twin(opened.graph("float"), run, 1 if recipe.get("repeat") else run)


def described(chosen: Terms) -> dict[str, Any]:
    """What a report's header says of its terms, beside the cost table itself."""
    cores = None if isinstance(chosen.machine, str) else chosen.machine.cores
    return {
        "host_table": None if chosen.host is None else chosen.host.describe(),
        "core_map": None if cores is None else cores.describe(),
    }


def logged(path: Path | None, measure: bool, samples: int) -> dict[str, Any] | None:
    """What an analyser measured of a device at these samples; None without a log."""
    from energy.power_log import power_log

    if path is None:
        return None
    if measure:
        raise UsageError("--measure and --power-log: one figure is measured, choose which")
    return power_log(path).as_json(samples) | {"what": "a device, by its analyser's log"}


def measured(loaded: Any, feed: Any, batch: int) -> dict[str, Any]:
    """Joules that this machine takes for one sample on the target, counting left out; or why nobody knows."""
    from energy.measured import measure
    from verbs.pose_feed import PoseFeed
    from verbs.running import run_all

    if isinstance(feed, PoseFeed):  # joints are no scores
        parts = [x for _, x in feed.batches(batch)]
        found = measure(lambda: [loaded.runner.run(x) for x in parts])
    else:
        ready = feed.held()  # reading and preparing are not the target's
        found = measure(lambda: run_all(loaded, ready, batch))
    return found.as_json(len(feed.samples)) | {"what": f"this machine while it runs {loaded.target.name}"}
