"""Core maps as files: what `cli.py map` writes is read, anything else is refused in one line."""

import json

import numpy as np
import pytest

from convert.ir import BadInput, DenseWeights, Input, LoihiLIF, Population, Program, Projection
from deploy.cores.chip import chip
from deploy.cores.partition import partition
from deploy.cores.placement import place
from deploy.cores.report import report
from deploy.cores.traffic import Activity, traffic
from energy.costs import cost_table
from energy.counts import count_program
from energy.routing import core_map, routing, sources


def program():
    lif = LoihiLIF(dv=0, vth=1)
    populations = {
        "x": Population("x", (40,), Input((40,), "binary")), "a": Population("a", (1500,), lif, 1),
        "b": Population("b", (300,), lif, 2),
    }  # fmt: skip
    first, second = (DenseWeights(np.ones(shape, np.int8)) for shape in ((1500, 40), (300, 1500)))
    return Program(populations, (Projection("0", "x", "a", first), Projection("1", "a", "b", second)), ("b",))


def mapped(made, spikes):
    target = chip("loihi1")
    cut = partition(made, target)
    activity = Activity(spikes, "measured on 2 samples", 3)
    messages = traffic(cut, activity)
    return report(cut, place(target, messages, 0), messages, activity, [], 0)


def test_the_mean_over_the_samples_of_the_map_is_the_map(tmp_path):
    made, rng = program(), np.random.default_rng(0)
    rasters = {n: (rng.random((3, 2, p.size)) < 0.2).astype(np.uint8) for n, p in made.populations.items()}
    counts = count_program(made, rasters)
    body = mapped(made, {n: r.sum(axis=(0, 1)) / 2 for n, r in rasters.items()})
    path = tmp_path / "map.json"
    path.write_text(json.dumps(body))
    table = cost_table("loihi1-davies2018")
    item = routing(counts, table, core_map(path), sources(made))
    moved = body["traffic"]
    want = moved["messages"] * 1.7 + moved["hops_x"] * 3.0 + moved["hops_y"] * 4.0
    assert moved["hops_x"] > 0 and item.reasons == {}
    assert item.total().mean() == pytest.approx(want, rel=1e-12)


def valid():
    sent = {"spikes": 2.0, "messages": 4.0, "hops_x": 1.0, "hops_y": 0.0, "crossings": 0.0}
    return {
        "format": "basalt-map", "version": 1, "fingerprint": "f", "chip": {"name": "loihi1"},
        "outside": ["x"],
        "traffic": {"activity": "measured", "crossings": 3.0, "populations": {"a": sent}},
    }  # fmt: skip


def test_what_one_spike_sends(tmp_path):
    path = tmp_path / "map.json"
    path.write_text(json.dumps(valid()))
    found = core_map(path)
    assert found.describe()["outside"] == ["x"]
    assert dict(found.per_spike) == {"a": {"messages": 2.0, "hops_x": 0.5, "hops_y": 0.0}}
    assert (found.chip, found.fingerprint, found.activity, found.crossings) == (
        "loihi1",
        "f",
        "measured",
        3.0,
    )


def _without(key):
    body = valid()
    del body["traffic"]["populations"]["a"][key]
    return json.dumps(body)


@pytest.mark.parametrize("text, why", [
    ("", "not a readable core map"), ("[]", "not a basalt-map of version 1"),
    (json.dumps({**valid(), "version": 2}), "not a basalt-map of version 1"),
    (json.dumps({**valid(), "traffic": None}), "its traffic is damaged"),
    (_without("hops_x"), "its traffic is damaged .'hops_x'.; map the artifact again"),
    (json.dumps(valid()).replace("4.0", "-4.0"), "-4.0 is no amount"),
    (json.dumps(valid()).replace("4.0", "NaN"), "nan is no amount"),
    (json.dumps(valid()).replace("4.0", '"4"'), "'4' is no amount"),
    (json.dumps(valid()).replace("4.0", "true"), "True is no amount"),
    (json.dumps(valid()).replace("4.0", f"4{'0' * 400}"), "40+ is no amount"),
    (json.dumps(valid()).replace("4.0", f"4{'0' * 5000}"), "not a readable core map"),
    ("[" * 99999, "not a readable core map"),
])  # fmt: skip
def test_broken_maps(tmp_path, text, why):
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=why) as error:
        core_map(path)
    assert "\n" not in str(error.value)
    with pytest.raises(BadInput, match="not a readable core map"):
        core_map(tmp_path / "none.json")
