"""Real Lava against the meaning of a program: an evaluator of a page, written from `convert.ir` alone.

Every comparison is exact: these are integers. A start of Lava costs seconds, so many cases share a network.
"""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from convert.ir import (
    BadInput,
    ConvWeights,
    DenseWeights,
    Input,
    LoihiIntegrator,
    LoihiLIF,
    Population,
    Program,
    Projection,
    SparseWeights,
    Unsupported,
)
from convert.net_reader import read_net
from convert.net_weights import fault
from convert.to_lava import write_net
from deploy.lava_env import lava_python
from deploy.lava_sim import LavaRunner, LavaSim, net_runner
from deploy.target import target

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("lava")]
LIMIT = 1 << 23


def shifted(x, exp):
    return x << exp if exp >= 0 else x >> -exp


def decayed(x, d):
    return np.sign(x * (4096 - d)) * (np.abs(x * (4096 - d)) >> 12)


def evaluate(program, x):
    """{population: spikes [T, N, size]}, {readout: v [N, size]}, events seen; x: int [T, N, size]."""
    steps, samples = x.shape[:2]
    spikes, seen, last = {}, {"wrap": 0, "saturation": 0, "equality": 0}, {}
    todo = list(program.populations)
    for name in sorted(todo, key=lambda n: program.populations[n].latency):
        model, size = program.populations[name].model, program.populations[name].size
        if isinstance(model, Input):
            spikes[name] = x
            continue
        into = [(p, p.weights.to_dense()) for p in program.into(name)]
        u = v = np.zeros((samples, size), np.int64)
        bias = np.broadcast_to(np.asarray(model.bias), program.populations[name].shape).reshape(-1)
        spikes[name] = np.zeros((steps, samples, size), np.int64)
        for t in range(steps):
            a = np.zeros((samples, size), np.int64)
            for p, w in into:
                if t >= p.delay:
                    a += shifted(spikes[p.src][t - p.delay] @ w.T, p.exp)
            u1 = decayed(u, model.du + 1) + (a << 6)
            u = np.where(u1 > LIMIT, u1 - 2 * LIMIT, np.where(u1 <= -LIMIT, u1 + 2 * LIMIT, u1))
            free = decayed(v, model.dv) + u + bias
            v = np.clip(free, -LIMIT + 1, LIMIT - 1)
            seen["wrap"] += int((u != u1).sum())
            seen["saturation"] += int((v != free).sum())
            seen["equality"] += int((v == model.vth << 6).sum())
            fired = v > model.vth << 6
            v = np.where(fired, 0, v)
            spikes[name][t] = fired
        last[name] = v
    return spikes, last, seen


def weights(rng, out, into, low=-128, high=128):
    return DenseWeights(rng.integers(low, high, (out, into)).astype(np.int8))


def columns(rng, out, into, fan):
    """Sparse weights with `fan` synapses a source, stored zeros among them."""
    rows = np.concatenate([np.sort(rng.choice(out, fan, replace=False)) for _ in range(into)])
    values = rng.integers(-3, 8, into * fan).astype(np.int8)
    return SparseWeights(np.arange(into + 1) * fan, rows, values, (out, into))


def populated(source, *neurons):
    """Populations from (name, shape, model, latency)."""
    first = Population("x", source.shape, source)
    return {"x": first} | {n: Population(n, shape, model, late) for n, shape, model, late in neurons}


def many_cases():
    """One network with a population for each case; a comment says which."""
    rng = np.random.default_rng(7)
    kernel = rng.integers(-40, 60, (4, 1, 2, 3)).astype(np.int8)
    conv = ConvWeights(kernel, (2, 3, 4), (4, 4, 3), (1, 2), (1, 2), (1, 1), 2)
    wide = rng.integers(-50, 60, (3, 2, 2, 2)).astype(np.int8)
    full = ConvWeights(wide, (2, 3, 4), (3, 1, 2), (1, 1), (0, 0), (2, 2), 1)
    bias = rng.integers(-60, 200, 20)
    single = np.zeros((1, 24), np.int8)
    single[0, 0] = 10
    populations = populated(
        Input((2, 3, 4), "binary"),
        ("equal", (1,), LoihiLIF(dv=4096, vth=10), 1),  # v lands exactly on the threshold: never a spike
        ("above", (1,), LoihiLIF(dv=4096, vth=9), 1),
        ("wrap", (9,), LoihiLIF(dv=300, vth=60000, du=700), 1),  # exponent +8, u past 2^23 both ways
        ("slow", (24,), LoihiLIF(dv=123, vth=300, du=456), 1),  # both decays, truncation of negative values
        ("drop", (15,), LoihiLIF(dv=1000, vth=3), 1),  # exponents -3 and -8, floor of negative sums
        ("conv", (4, 4, 3), LoihiLIF(dv=700, vth=120), 1),  # Lava's Conv, groups, stride, padding
        ("unrolled", (3, 1, 2), LoihiLIF(dv=700, vth=40), 1),  # exponent -1: Conv cannot, Sparse does
        ("tap", (24,), LoihiLIF(dv=512, vth=60), 1),  # five taps of one layer, sparse, stored zeros
        ("deep", (20,), LoihiLIF(dv=900, vth=400, bias_mant=bias, bias_exp=3), 2),  # residual, bias, three in
        (
            "late",
            (20,),
            LoihiLIF(dv=4096, vth=127, bias_mant=np.array([127 * 8, 127 * 8 + 1] * 10), bias_exp=3),
            4,
        ),
        (
            "sink",
            (6,),
            LoihiIntegrator(dv=0, bias_mant=np.full(6, -4096), bias_exp=7),
            3,
        ),  # v saturates below
        ("read", (2, 3), LoihiIntegrator(dv=40, du=1000), 3),
    )
    tap = [Projection(f"tap{k}", "x", "tap", columns(rng, 24, 24, 6), 1, k) for k in range(5)]
    projections = [
        Projection("one", "x", "equal", DenseWeights(single)),
        Projection("two", "x", "above", DenseWeights(single)),
        Projection("big", "x", "wrap", weights(rng, 9, 24), 8),
        Projection("mix", "x", "slow", weights(rng, 24, 24, -40, 50)),
        Projection("floor3", "x", "drop", weights(rng, 15, 24, -30, 45), -3),
        Projection("floor8", "x", "drop", weights(rng, 15, 24), -8, 1),
        Projection("conv", "x", "conv", conv, 1),
        Projection("unrolled", "x", "unrolled", full, -1),
        *tap,
        Projection("main", "slow", "deep", weights(rng, 20, 24, -20, 40), 2),
        Projection("skip", "x", "deep", columns(rng, 20, 24, 5), 4),  # one idle step on the chip
        Projection("back", "tap", "deep", weights(rng, 20, 24, -4, 4), -1, 3, bits=3),
        Projection("none", "deep", "late", SparseWeights(np.zeros(21), [], np.zeros(0, np.int8), (20, 20))),
        Projection("down", "deep", "sink", weights(rng, 6, 20, -128, 10), 8),
        Projection("read", "deep", "read", weights(rng, 6, 20, -60, 70), 1),
    ]
    return Program(populations, projections, ("read", "sink", "deep"))


def spikes(rng, steps, samples, shape, rate):
    return (rng.random((steps, samples, *shape)) < rate).astype(np.int64)


def compare(program, record, x):
    """Every population's raster and every readout, exactly; spikes must flow in each spiking population."""
    flat = x.reshape(*x.shape[:2], -1)
    want, last, seen = evaluate(program, flat)
    compared = 0
    for name, population in program.populations.items():
        if isinstance(population.model, LoihiLIF):
            got = record.rasters[name]
            assert got.shape == (*x.shape[:2], *population.shape)
            where = np.argwhere(got.reshape(want[name].shape) != want[name])
            assert not len(where), f"{name} differs first at step, sample, neuron {where[0]}"
            assert np.array_equal(record.counts[name].reshape(x.shape[1], -1), want[name].sum(axis=0))
            compared += int(want[name].sum())
        elif isinstance(population.model, LoihiIntegrator):
            assert np.array_equal(record.outputs[name].reshape(x.shape[1], -1), last[name]), name
            assert record.outputs[name].dtype == np.int64
    return want, seen, compared


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(11)
    x = spikes(rng, 24, 3, (2, 3, 4), 0.35)
    return many_cases(), np.concatenate([x, x[:, :1]], axis=1)  # the first sample comes back last


@pytest.fixture(scope="module")
def record(lava, case):
    program, x = case
    said = []
    runner = LavaSim(lambda done, of: said.append((done, of))).compile(program)
    got = runner.run(x, rasters=tuple(program.populations))
    assert said == [(1, 4), (2, 4), (3, 4), (4, 4)]
    return got


def test_arithmetic_is_the_programs(case, record):
    program, x = case
    want, seen, compared = compare(program, record, x)
    assert all(seen.values()), f"vacuous: {seen}"
    assert compared > 1000
    quiet = [n for n in program.neurons() if n in record.counts and not want[n].any()]
    assert quiet == ["equal"], f"vacuous: no spikes in {quiet}"
    assert np.array_equal(record.rasters["x"], x)
    assert np.array_equal(record.outputs["deep"], record.counts["deep"])


def test_equality_at_the_threshold_does_not_spike(case, record):
    hits = case[1][:, :, 0, 0, 0]
    assert hits.any()
    assert not record.counts["equal"].any()
    assert np.array_equal(record.rasters["above"][:, :, 0], hits)


def test_bias_starts_with_the_layers_input(record):
    """`late` gets nothing but bias, at latency 4: v = bias each step, on (127 << 6) or 8 above it."""
    assert np.array_equal(record.counts["late"], np.tile([0, 24], (4, 10)))


def test_a_sample_does_not_depend_on_those_before_it(case, record):
    for name in case[0].neurons():
        if name in record.rasters:
            assert np.array_equal(record.rasters[name][:, 0], record.rasters[name][:, 3]), name
    assert np.array_equal(record.outputs["read"][0], record.outputs["read"][3])
    assert not np.array_equal(record.outputs["read"][0], record.outputs["read"][1])


def test_delay_lines_equal_lavas_own_delays(case, record):
    program, x = case
    own = LavaRunner(program, delays="synapse").run(x[:, :2], rasters=program.neurons())
    for name in record.counts:
        assert np.array_equal(own.rasters[name], record.rasters[name][:, :2]), name
    assert np.array_equal(own.outputs["read"], record.outputs["read"][:2])


def test_graded_input(lava):
    """Messages of 17 bits with sign, through a dense, a sparse, a delayed and a convolving projection."""
    rng = np.random.default_rng(3)
    source = Input((1, 4, 5), "graded", scale=0.5, bits=18)
    square = rng.integers(-1, 2, (2, 1, 2, 2)).astype(np.int8)
    kernel = ConvWeights(square, (1, 4, 5), (2, 3, 4), (1, 1), (0, 0), (1, 1), 1)
    populations = populated(
        source,
        ("dense", (12,), LoihiLIF(dv=600, vth=9000), 1),
        ("conv", (2, 3, 4), LoihiLIF(dv=4096, vth=70000), 1),
        ("next", (8,), LoihiIntegrator(dv=100), 2),
    )
    program = Program(populations, (
        Projection("d", "x", "dense", weights(rng, 12, 20), -6),
        Projection("s", "x", "dense", columns(rng, 12, 20, 3), -2, 2),
        Projection("c", "x", "conv", kernel),
        Projection("n", "dense", "next", weights(rng, 8, 12)),
        Projection("r", "x", "next", weights(rng, 8, 20, -3, 4), -4),
    ), ("next",))  # fmt: skip
    values = rng.normal(0, 20000, (20, 2, 1, 4, 5))
    record = LavaSim().compile(program).run(values, rasters=tuple(program.populations))
    encoded = source.encode(values)
    assert np.array_equal(record.rasters["x"], encoded)
    assert np.abs(encoded).max() > 1 << 16
    want, _, _ = compare(program, record, encoded)
    assert want["dense"].any() and want["conv"].any()


def dense_chain(rng):
    populations = populated(
        Input((30,), "binary"),
        ("layer1", (4, 6), LoihiLIF(dv=400, vth=1800, du=1500), 1),
        ("layer2", (16,), LoihiLIF(dv=800, vth=250), 2),
        ("layer3", (5,), LoihiLIF(dv=200, vth=400), 3),
    )
    return Program(populations, (
        Projection("a", "x", "layer1", weights(rng, 24, 30, -90, 128), 1),
        Projection("b", "layer1", "layer2", weights(rng, 16, 24, -20, 40), 0, 2),
        Projection("c", "layer2", "layer3", weights(rng, 5, 16, 1, 60)),
    ), ("layer3",))  # fmt: skip


def conv_chain(rng):
    """Neither kernel nor image is square, and axes have different sizes throughout."""
    kernel = rng.integers(-60, 110, (4, 2, 2, 3)).astype(np.int8)
    first = ConvWeights(kernel, (2, 6, 5), (4, 4, 5), (2, 1), (1, 1), (1, 1), 1)
    kernel = rng.integers(-20, 40, (6, 2, 3, 1)).astype(np.int8)
    second = ConvWeights(kernel, (4, 4, 5), (6, 2, 3), (1, 2), (0, 0), (1, 1), 2)
    populations = populated(
        Input((2, 6, 5), "binary"),
        ("layer1", (4, 4, 5), LoihiLIF(dv=500, vth=400), 1),
        ("layer2", (6, 2, 3), LoihiLIF(dv=300, vth=60, du=2000), 2),
        ("layer4", (7,), LoihiLIF(dv=100, vth=90), 3),  # layer3 of the file is the flatten
    )
    return Program(populations, (
        Projection("a", "x", "layer1", first, 1),
        Projection("b", "layer1", "layer2", second),
        Projection("c", "layer2", "layer4", weights(rng, 7, 36, -30, 60)),
    ), ("layer4",))  # fmt: skip


@pytest.mark.parametrize("make", [dense_chain, conv_chain])
def test_netx_runs_our_net_file(lava, make, tmp_path):
    rng = np.random.default_rng(5)
    program = make(rng)
    x = spikes(rng, 20, 2, program.populations["x"].shape, 0.3)
    write_net(tmp_path / "chain.net", program)
    record = net_runner(tmp_path / "chain.net").run(x, rasters=program.neurons())
    want, _, compared = compare(program, record, x)
    ours = target("loihi-sim").compile(read_net(tmp_path / "chain.net")).run(x, rasters=program.neurons())
    for name in program.neurons():
        assert np.array_equal(ours.rasters[name], record.rasters[name]), name
    rates = {n: want[n].mean() for n in program.neurons()}
    assert all(0.02 < r < 0.9 for r in rates.values()), f"vacuous: {rates}"
    assert compared > 100


PLAIN_LAVA = """
import importlib.util, json, sys
import numpy as np
import lava.magma
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIF
from lava.utils.weightutils import SignMode, clip_weights, determine_sign_mode, truncate_weights

# netx/utils.py by its path: importing the package would load torch, seconds for nothing
beside = lava.magma.__path__[0].replace("magma", "lib/dl/netx/utils.py")
spec = importlib.util.spec_from_file_location("netx_utils", beside)
netx_utils = importlib.util.module_from_spec(spec)
spec.loader.exec_module(netx_utils)
asked = json.load(sys.stdin)
products = []
for w in asked["weights"]:
    w = np.array(w)
    shifted, bits, exp, _ = netx_utils.optimize_weight_bits(w)
    mode = determine_sign_mode(shifted)
    held = truncate_weights(clip_weights(shifted, mode, num_bits=8), mode, bits)
    products.append([bits, (held << exp if exp > 0 else held >> -exp).tolist()])
x, w = np.array(asked["x"]), np.array(asked["w"])
source = Source(data=np.hstack([x, np.zeros((len(x), 1), int)]))
dense = Dense(weights=w << 1, weight_exp=-1, num_weight_bits=8, sign_mode=SignMode.MIXED)
lif = LIF(shape=(len(w),), du=900, dv=700, vth=asked["vth"], bias_mant=0, bias_exp=2)
sink = Sink(shape=(len(w),), buffer=x.shape[1] + 1)
source.s_out.connect(dense.s_in); dense.a_out.connect(lif.a_in); lif.s_out.connect(sink.a_in)
lif.run(condition=RunSteps(num_steps=1), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
lif.bias_mant.set(np.array(asked["bias"]))  # from the layer's first input on
lif.run(condition=RunSteps(num_steps=x.shape[1]), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
print("ANSWER" + json.dumps({"products": products, "spikes": sink.data.get()[:, 1:].astype(int).tolist(),
                            "v": lif.v.get().astype(int).tolist()}))
lif.stop()
"""


def test_untouched_lava_agrees(lava):
    """Lava with no class of ours, its bias set between two runs; and netx's weights against `net_weights`."""
    rng = np.random.default_rng(2)
    candidates = [
        np.array([[-12, 10]]),
        np.array([[127, -128]]),
        np.array([[255, 0]]),
        np.array([[253, -255]]),
        np.array([[-256, -4]]),
        np.array([[-6, 0]]),
        np.array([[254, -256, 2]]),
        np.array([[129, -2]]),
        *(
            rng.integers(-lo, hi, (2, 3)) << up
            for lo, hi, up in [
                (1, 9, 0),
                (99, 99, 0),
                (99, 99, 1),
                (0, 255, 0),
                (7, 3, 3),
                (255, -1, 0),
                (128, 128, 1),
            ]
        ),
    ]
    program = Program(
        populated(Input((10,), "binary"), ("lif", (6,), LoihiLIF(
            dv=700, vth=150, du=900, bias_mant=rng.integers(-300, 300, 6), bias_exp=2), 1)),
        (Projection("p", "x", "lif", weights(rng, 6, 10)),), ("lif",))  # fmt: skip
    x = spikes(rng, 30, 1, (10,), 0.3)
    asked = {
        "weights": [w.tolist() for w in candidates], "x": x[:, 0].T.tolist(), "vth": 150,
        "w": program.projections[0].weights.matrix.tolist(),
        "bias": program.populations["lif"].model.bias_mant.tolist(),
    }  # fmt: skip
    done = subprocess.run([str(lava_python()), "-I", "-c", PLAIN_LAVA], input=json.dumps(asked),
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.split("ANSWER")[1])
    want, last, _ = evaluate(program, x)
    assert want["lif"].any()
    assert np.array_equal(np.array(said["spikes"]).T, want["lif"][:, 0])
    assert said["v"] == last["lif"][0].tolist()
    verdicts = [fault(w) is None for w in candidates]
    assert verdicts == [bits <= 8 and np.array_equal(got, w)
                        for w, (bits, got) in zip(candidates, said["products"], strict=True)]  # fmt: skip
    assert any(verdicts) and not all(verdicts)


def test_bad_input_is_said_before_lava_starts(lava):
    program = dense_chain(np.random.default_rng(1))
    with pytest.raises(BadInput, match="expected 0 and 1"):
        LavaSim().compile(program).run(np.full((3, 1, 30), 2))
    with pytest.raises(Unsupported, match="lower the graph first"):
        LavaSim().compile(None)
