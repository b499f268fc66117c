"""Random programs against real Lava, spike for spike and state for state; loihi-sim beside it.

    python -m benchmarks.lava_conformance --programs 500 --seed 0 [--json F]

Every program is run by the reference interpreter, by loihi-sim and by Lava's own fixed-point processes (the
refractory neuron by Lava's float model, in decays and values that floats hold exactly). All messages and all
states of all steps are compared with ==. Ends with code 5 at any difference.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.events import events, kinds
from benchmarks.machine import describe
from benchmarks.random_programs import MODELS, Case, random_case
from convert.ir import Input, LoihiLIFRefractory, LoihiNeuron
from convert.ir.files import whole
from deploy.lava_trace import LavaTrace, lava_traces
from deploy.loihi_sim import LoihiSim
from deploy.reference_program import record

BATCH = 6  # programs in one Lava network


def differences(case: Case, got: LavaTrace) -> tuple[Counter[str], list[str]]:
    """What was compared with Lava, and where it differs."""
    tally, wrong = Counter(), []
    for name, sent in got.sent.items():
        want = case.trace.sent[name]
        tally["messages that are not 0"] += int(np.count_nonzero(want))
        tally["messages"] += want.size
        if not np.array_equal(sent, want):
            wrong.append(f"{name}: messages, first at (step, sample, neuron) {np.argwhere(sent != want)[0]}")
    for name in case.program.neurons():
        states = got.states[name]
        if isinstance(case.program.populations[name].model, LoihiLIFRefractory):
            states = {k: v for k, v in states.items() if k in case.trace.states[name]}
        if set(states) != set(case.trace.states[name]):
            wrong.append(f"{name}: states {sorted(states)}, not {sorted(case.trace.states[name])}")
            continue
        for key, state in states.items():
            want = case.trace.states[name][key]
            tally["state values"] += want.size
            if not np.array_equal(state, want):
                wrong.append(
                    f"{name}: {key}, first at (step, sample, neuron) {np.argwhere(state != want)[0]}"
                )
    return tally, wrong


def simulator_differences(case: Case) -> list[str]:
    """Where loihi-sim differs from the meaning: messages, outputs, counts, states."""
    spiking = [n for n in case.program.neurons() if case.program.populations[n].model.spiking]  # type: ignore[union-attr]
    asked = [n for n, p in case.program.populations.items() if isinstance(p.model, Input)] + spiking
    want = record(case.program, case.trace, asked)
    runner = LoihiSim(threads=1).compile(case.program)
    got = runner.run(case.x, asked)
    pairs = {f"raster {n}": (got.rasters[n], want.rasters[n]) for n in asked}
    pairs |= {f"output {n}": (got.outputs[n], want.outputs[n]) for n in want.outputs}
    pairs |= {f"counts {n}": (got.counts[n], want.counts[n]) for n in want.counts}
    for name, states in case.trace.states.items():
        found = runner.states(case.x, name)
        pairs |= {f"state {name}.{key}": (found[key], state) for key, state in states.items()}
    return [what for what, (a, b) in pairs.items() if a.dtype != b.dtype or not np.array_equal(a, b)]


def main() -> None:
    """Make, run, compare, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--jobs", type=int, default=1, help="Lava networks at a time")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    tallies: dict[str, Counter[str]] = {n: Counter() for n in ("compared", "held", "events")}
    wrong: list[str] = []
    start, done = time.perf_counter(), 0
    batches = _batches(asked.programs, asked.seed, asked.batch)
    with ThreadPoolExecutor(asked.jobs) as pool:
        for cases, traces in pool.map(_run, batches):
            for (seed, case), got in zip(cases, traces, strict=True):
                wrong += _count(seed, case, got, tallies)
            done += len(cases)
            print(
                f"{done} of {asked.programs} programs, {len(wrong)} differences", file=sys.stderr, flush=True
            )
    result = {
        "programs": asked.programs, "seed": asked.seed, "mismatches": wrong,
        **{name: dict(sorted(tally.items())) for name, tally in tallies.items()},
        "wall_s": round(time.perf_counter() - start), "machine": describe(),
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    if asked.json:
        with whole(asked.json) as draft:
            draft.write_text(json.dumps(result, indent=1))
    sys.exit(5 if wrong else 0)


def _batches(programs: int, first: int, size: int) -> list[list[tuple[int, type[LoihiNeuron]]]]:
    """(seed, model) of each program; those for Lava's float model in batches of their own."""
    all_of = [(first + k, MODELS[k % len(MODELS)]) for k in range(programs)]
    sorts = [[c for c in all_of if (c[1] is LoihiLIFRefractory) == floating] for floating in (False, True)]
    return [sort[low : low + size] for sort in sorts for low in range(0, len(sort), size)]


def _run(batch: list[tuple[int, type[LoihiNeuron]]]) -> tuple[list[tuple[int, Case]], list[LavaTrace]]:
    cases = [(seed, random_case(seed, model)) for seed, model in batch]
    programs, inputs = [c.program for _, c in cases], [c.x for _, c in cases]
    return cases, lava_traces(programs, inputs, batch[0][1] is LoihiLIFRefractory)


def _count(seed: int, case: Case, got: LavaTrace, tallies: dict[str, Counter[str]]) -> list[str]:
    tally, differ = differences(case, got)
    tallies["compared"] += tally
    tallies["held"] += kinds(case.program)
    tallies["events"] += events(case.program, case.trace)
    found = [f"seed {seed}, lava: {d}" for d in differ]
    return found + [f"seed {seed}, loihi-sim: {d}" for d in simulator_differences(case)]


if __name__ == "__main__":
    main()
