"""Fixtures of the `.net` tests: the files lava-dl wrote, and programs run step by step in plain integers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from convert.ir import Input

FOLDER = Path(__file__).parent / "fixtures"
LIMIT = (1 << 23) - 1


def dec(x, d):
    """Truncated toward zero."""
    x = x * d
    return np.sign(x) * (np.abs(x) >> 12)


def lif(m, a, s):
    u = dec(s["u"], 4096 - (m.du + 1)) + (a["a"] << 6)
    s["u"] = np.where(u > 1 << 23, u - (1 << 24), np.where(u <= -(1 << 23), u + (1 << 24), u))
    v = np.clip(dec(s["v"], 4096 - m.dv) + s["u"] + m.bias, -LIMIT, LIMIT)
    fired = v > m.vth << 6
    s["v"] = np.where(fired, 0, v)
    return s["v"] if not m.spiking else fired.astype(np.int64)


def turn(m, a, s):
    re, im = s["re"], s["im"]
    return (
        np.clip(dec(re, m.cos_decay) - dec(im, m.sin_decay) + (a["real"] << m.state_exp), -LIMIT, LIMIT),
        np.clip(dec(re, m.sin_decay) + dec(im, m.cos_decay) + (a["imag"] << m.state_exp), -LIMIT, LIMIT),
    )


def rf(m, a, s):
    re, im = turn(m, a, s)
    fired = (re >= m.vth << m.state_exp) & (im >= 0) & (s["im"] < 0)
    s["re"], s["im"] = re, im
    return fired.astype(np.int64)


def rf_iz(m, a, s):
    re, im = turn(m, a, s)
    fired = im >= m.vth << m.state_exp
    s["re"], s["im"] = np.where(fired, 0, re), np.where(fired, (m.vth << m.state_exp) - 1, im)
    return fired.astype(np.int64)


def coded(m, x, s):
    change = x - s["old"] + s["rest"]
    sent = np.where(np.abs(change) >= m.vth << (m.spike_exp + m.state_exp), change, 0)
    s["old"], s["rest"] = x, change - sent
    return sent >> m.state_exp


def delta(m, a, s):
    return coded(m, a["a"] << (m.spike_exp + m.state_exp), s)


def sigma(m, a, s):
    s["sigma"] = s["sigma"] + a["a"]
    return s["sigma"]


def sigma_delta(m, a, s):
    x = sigma(m, a, s) + (m.bias << (m.spike_exp + m.state_exp))
    return coded(m, np.maximum(x, 0), s)


STEP = {
    "LoihiLIF": lif, "LoihiIntegrator": lif, "LoihiRF": rf, "LoihiRFIZ": rf_iz, "LoihiDelta": delta,
    "LoihiSigma": sigma, "LoihiSigmaDelta": sigma_delta,
}  # fmt: skip


def interpreted(program, x):
    """Every population's messages, or a readout's value, at every aligned step: name -> int64 [T, *shape]."""
    out = {}
    state = {}
    for name, p in program.populations.items():
        zero = lambda shape=p.shape: np.zeros(shape, np.int64)  # noqa: E731
        state[name] = {k: zero() for k in ("u", "v", "re", "im", "old", "rest", "sigma")}
        out[name] = np.zeros((len(x), *p.shape), np.int64)
    dense = [p.weights.to_dense() for p in program.projections]
    for t in range(len(x)):
        for name, p in program.populations.items():
            if isinstance(p.model, Input):
                out[name][t] = p.model.encode(x[t])
                continue
            a = {port: np.zeros(p.shape, np.int64) for port in p.model.ports}
            for proj, w in zip(program.projections, dense, strict=True):
                if proj.dst == name and t >= proj.delay:
                    got = w @ out[proj.src][t - proj.delay].reshape(-1)
                    got = got << proj.exp if proj.exp >= 0 else got >> -proj.exp
                    a[proj.port] += got.reshape(p.shape)
            out[name][t] = STEP[type(p.model).__name__](p.model, a, state[name])
    return out


@pytest.fixture(scope="session")
def run():
    return interpreted


@pytest.fixture(scope="session")
def about():
    """What scripts/net_fixtures.py said of each case."""
    return json.loads((FOLDER / "about.json").read_text())


@pytest.fixture
def exported():
    """exported(name) -> (path of the .net, its arrays)."""

    def load(name):
        with np.load(FOLDER / f"{name}.npz") as file:
            return FOLDER / f"{name}.net", {k: file[k] for k in file.files}

    return load
