"""From a loaded artifact to the terms that its counts are priced by, and what its machine measures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convert.artifact import Artifact
from convert.ir import BadInput, Program
from energy.baselines import twin
from energy.bit_budget import Bits
from energy.conventions import Convention
from energy.costs import open_cost_table
from energy.layer import layers
from energy.measured import Measured, measure
from energy.movement import Machine
from energy.priced import Terms
from energy.routing import core_map, sources
from verbs.feed import Feed
from verbs.running import Loaded

FLOAT_BITS = 32


def terms(
    opened: Artifact,
    loaded: Loaded,
    feed: Feed,
    conventions: Sequence[Convention],
    allow_uncounted: bool,
    mapped: Path | None,
    host: str | None,
) -> Terms:
    """mapped: the JSON of `cli.py map` of the same artifact.  host: a table for what a chip does not do."""
    program = loaded.model if isinstance(loaded.model, Program) else None
    cores = None if mapped is None else core_map(mapped)
    if cores is not None and cores.fingerprint not in ("", opened.fingerprint):
        raise BadInput(
            f"{mapped}: maps the artifact {cores.fingerprint[:12]}, this one is {opened.fingerprint[:12]}; "
            "map this artifact"
        )
    if cores is not None and program is None:
        raise BadInput(
            f"{mapped}: messages belong to a program, {loaded.target.name} runs a graph; use loihi-sim"
        )
    machine = Machine(layers(loaded.model, loaded.host), cores, None if program is None else sources(program))
    repeat, frames = feed.samples.repeat, feed.samples.x.shape[2]
    run = repeat or frames  # shown a clip again and again, or frame by frame
    same = twin(opened.graph("float"), run, 1 if repeat else run)
    weight = opened.about["quantisation"]["bits"] if loaded.form == "integer" else FLOAT_BITS
    prices = None if host is None else open_cost_table(host)
    return Terms(tuple(conventions), allow_uncounted, machine, prices, same, Bits(weight))


def measured(loaded: Loaded, feed: Feed, batch: int) -> tuple[dict[str, Any] | None, str | None]:
    """(joules of the machine for one batch, None), or (None, why there are none)."""
    owners, x = next(feed.batches(batch))
    found = measure(lambda: loaded.runner.run(x, ()))
    if not isinstance(found, Measured):
        return None, f"{found.reason}; {found.remedy}" if found.remedy else found.reason
    samples = len(set(owners.tolist()))
    told = {"of": f"a batch of {samples} samples on {loaded.target.name}", "samples": samples}
    return {**told, "joule_per_sample": found.joule / samples, **found.as_json()}, None
