"""Write tests/net/fixtures: `.net` files made by lava-dl's own slayer, with what slayer and netx compute.

    .venv-lava/bin/python scripts/net_fixtures.py [--out DIR] [--only NAME ...] [--no-netx]

Runs under the Lava environment (Python 3.10, lava-dl 0.6.0); imports nothing of ours. For every case NAME:

NAME.net   the file slayer's `export_hdf5` wrote; for what slayer cannot export, written by hand with h5py in
           the documented layout (`about.json` says which, and slayer's own error)
NAME.npz   input    [T, *shape]     what the first layer was fed
           slayer   [T', *shape]    the last layer's output, raw time: every block delays by its shift
           shifts   int             steps of delay that slayer's blocks add (delay_shift)
           netx     [T', *shape]    the last layer's output in netx on Lava's fixed point models; or absent
                                    and the error is in about.json
           netx_decays  sin, cos    of the last layer in netx, where its neurons are RF

T' = T + shifts + 1. Seeds are fixed: the same environment writes the same numbers again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import h5py
import numpy as np
import torch
from lava.lib.dl import slayer

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "net" / "fixtures"
STEPS = 24
CUBA = {"threshold": 1.0, "current_decay": 0.25, "voltage_decay": 0.125}
QUICK = {"threshold": 0.75, "current_decay": 1.0, "voltage_decay": 0.25}
RF = {"threshold": 0.25, "period": 7.0, "decay": 0.1}  # decays that netx keeps
SDNN = {"threshold": 0.125, "activation": torch.nn.functional.relu}
block = slayer.block


def plain():
    """An input without neuron; with its delay_shift, slayer's own forward fails on the missing neuron."""
    return block.cuba.Input(delay_shift=False)


def spikes(*shape, rate=0.3):
    return (torch.rand(STEPS, *shape) < rate).float()


def values(*shape):
    """Real values that wander: what a sigma-delta network is fed, in steps of 1/32 as slayer rounds them."""
    walk = torch.cumsum(torch.randint(-12, 14, (STEPS, *shape)).float() / 32, 0)
    return walk.clamp(-3, 3)


def strong(blocks, gain, shift=0.0):
    """Weights large enough to fire: slayer's start values times gain."""
    for b in blocks:
        for name in ("synapse", "input_synapse", "recurrent_synapse"):
            synapse = getattr(b, name, None)
            for part in ("real", "imag") if hasattr(synapse, "imag") else (None,):
                target = getattr(synapse, part) if part else synapse
                if target is not None and target.weight.requires_grad:
                    scale = 0.5 * gain if name == "recurrent_synapse" else gain
                    target.weight.data = target.weight.data * scale + shift
    return blocks


def delayed(b, most):
    """Fixed delays of the block's outputs, one a channel, `most` among them."""
    channels = b.synapse.out_channels if hasattr(b, "synapse") else b.input_synapse.out_channels
    b.delay.delay.data = torch.randint(0, most + 1, (channels,)).float() + 0.4
    b.delay.delay.data[0] = most
    b.delay.init = True
    return b


def dense(delay=0, n=9, m=7, neuron=CUBA, kind=block.cuba, **more):
    made = kind.Dense(dict(neuron), n, m, delay=bool(delay), **more)
    return delayed(made, delay) if delay else made


def normed(b, mean, variance=None):
    """Give the block's norm running statistics: mean becomes a bias, variance a power of two."""
    norm = b.neuron.norm
    channels = b.synapse.out_channels if hasattr(b, "synapse") else b.input_synapse.out_channels
    norm.running_mean = torch.linspace(-mean, 0.5 * mean, channels)
    norm.num_features = channels
    if variance is not None:
        norm.running_var = torch.tensor([float(variance)])
    return b


MEAN = slayer.neuron.norm.MeanOnlyBatchNorm
SCALE = slayer.neuron.norm.WgtScaleBatchNorm


def cuba_cases():
    c, start = block.cuba, plain
    wide = {**CUBA, "current_decay": (0.1, 0.9), "voltage_decay": (0.05, 0.5), "shared_param": False}
    image, conv = spikes(2, 6, 5), lambda **k: c.Conv(dict(CUBA), 2, 4, (3, 2), **k)
    yield "dense", strong([start(), dense(), dense(n=7, m=5)], 3, 0.1), spikes(9)
    yield "dense_bare", strong([dense(), dense(n=7, m=5)], 3, 0.1), spikes(9)
    yield "dense_delay", strong([start(), dense(5), dense(9, n=7, m=5)], 3, 0.1), spikes(9)
    yield "dense_decays", strong([start(), dense(neuron=wide)], 3, 0.1), spikes(9)
    yield "dense_equality", [start(), equality()], torch.ones(STEPS, 1)
    yield "dense_equality_large", [start(), large_equality()], torch.ones(STEPS, 2)
    yield "recurrent", strong([start(), c.Recurrent(dict(CUBA), 9, 6)], 3, 0.1), spikes(9)
    rec = delayed(c.Recurrent(dict(CUBA), 9, 6, delay=True), 4)
    yield "recurrent_delay", strong([start(), rec, dense(n=6, m=5)], 3, 0.1), spikes(9)
    yield "conv", strong([start(), conv(stride=(2, 1), padding=(1, 0), dilation=(1, 2))], 3, 0.1), image
    yield "conv_groups", strong([start(), conv(groups=2, padding=1)], 3, 0.2), image
    yield "conv_delay", strong([start(), delayed(conv(delay=True), 3)], 3, 0.1), image
    flat = [start(), conv(stride=(2, 1)), c.Flatten(), dense(n=4 * 2 * 4, m=5)]
    yield "flatten", strong(flat, 3, 0.1), image
    yield "pool", [start(), c.Pool(dict(QUICK), (2, 3)), c.Flatten(), dense(n=18, m=3)], spikes(2, 6, 9)
    yield "pool_odd", [start(), c.Pool(dict(QUICK), 2)], spikes(3, 5, 7)
    yield "unpool", [start(), c.Unpool(dict(QUICK), 2)], spikes(2, 3, 2)
    up = c.ConvT(dict(CUBA), 2, 4, (3, 2), stride=(2, 1), padding=(1, 0), groups=2)
    yield "convt", strong([start(), up], 3, 0.15), spikes(2, 3, 4)
    yield "affine", strong([start(), dense(), c.Affine(dict(CUBA), 7, 4)], 3, 0.1), spikes(9)
    bare = c.Affine(dict(CUBA), 7, 4, dynamics=False)
    yield "affine_bare", strong([start(), dense(), bare], 3, 0.1), spikes(9)


def equality():
    """One neuron whose membrane is exactly its threshold every other step, and must not spike there."""
    b = dense(n=1, m=2, neuron={**QUICK, "voltage_decay": 0.0})
    b.synapse.weight.data = torch.tensor([0.375, 0.40625]).reshape(2, 1, 1, 1, 1)
    return b


def large_equality():
    """The same at a threshold of 64, where slayer's threshold_eps is lost in float32."""
    b = dense(n=2, m=1, neuron={**QUICK, "threshold": 64.0, "voltage_decay": 0.0})
    b.synapse.weight.data = torch.full((1, 2, 1, 1, 1), 2.0)
    return b


def norm_cases():
    start, mean, scale = plain, {**CUBA, "norm": MEAN}, {**QUICK, "norm": SCALE}
    two = [start(), normed(dense(neuron=mean), 0.3), normed(dense(n=7, m=5, neuron=mean), 0.2)]
    yield "norm", strong(two, 3, 0.1), spikes(9)
    bare = [normed(dense(neuron=mean), 0.3), normed(dense(n=7, m=5, neuron=mean), 0.2)]
    yield "norm_bare", strong(bare, 3, 0.1), spikes(9)
    late = [start(), normed(dense(4, neuron=mean), 0.3), normed(dense(3, n=7, m=5, neuron=mean), 0.2)]
    yield "norm_delay", strong(late, 3, 0.1), spikes(9)
    rec = normed(block.cuba.Recurrent({**CUBA, "norm": MEAN}, 9, 6), 0.1)
    yield "norm_recurrent", strong([start(), rec], 3, 0.1), spikes(9)
    conv = normed(block.cuba.Conv(dict(mean), 2, 4, 3), 0.3)
    yield "norm_conv", strong([start(), conv], 3, 0.1), spikes(2, 6, 5)
    yield "norm_scale_up", strong([start(), normed(dense(neuron=scale), 0.3, 0.05)], 2, 0.1), spikes(9)
    yield "norm_scale_down", strong([start(), normed(dense(neuron=scale), 0.3, 3.0)], 9, 0.3), spikes(9)
    yield (
        "norm_scale_current",
        strong([start(), normed(dense(neuron={**CUBA, "norm": SCALE}), 0.3, 3.0)], 9, 0.3),
        spikes(9),
    )


def input_cases():
    c = block.cuba
    yield "input_neuron", strong([c.Input(dict(CUBA)), dense()], 3, 0.1), values(9)
    affine = c.Input({**CUBA, "current_decay": 0.5}, weight=0.5, bias=0.25)
    yield "input_affine", strong([affine, dense()], 3, 0.1), values(9)
    odd = c.Input(dict(CUBA), weight=0.78125, bias=-0.125)
    yield "input_spikes", strong([odd, dense()], 3, 0.1), spikes(9, rate=0.6)


def other_cases():
    for name, kind in (("rf", block.rf), ("rf_iz", block.rf_iz)):
        made = [plain(), dense(kind=kind, neuron=RF), dense(kind=kind, neuron=RF, n=7, m=5)]
        yield name, strong(made, 5, 0.1), spikes(9)
    late = [plain(), dense(4, kind=block.rf, neuron=RF), dense(kind=block.rf, neuron=RF, n=7, m=5)]
    yield "rf_delay", strong(late, 5, 0.1), spikes(9)
    lossy = {**RF, "period": 8.0}  # netx loses a bit of its decays
    yield "rf_lsb", strong([plain(), dense(kind=block.rf, neuron=lossy)], 5, 0.1), spikes(9)
    conv = block.rf.Conv(dict(RF), 2, 3, 3)
    yield "rf_conv", strong([plain(), conv], 5, 0.1), spikes(2, 5, 4)
    alif = {**CUBA, "threshold_step": 0.5, "threshold_decay": 0.1, "refractory_decay": 0.2}
    yield "alif", strong([plain(), dense(kind=block.alif, neuron=alif)], 3, 0.1), spikes(9)
    adrf = {**RF, "threshold_step": 0.2, "threshold_decay": 0.1, "refractory_decay": 0.2}
    yield "adrf", strong([plain(), dense(kind=block.adrf, neuron=adrf)], 3, 0.1), spikes(9)
    yield "adrf_iz", strong([plain(), dense(kind=block.adrf_iz, neuron=adrf)], 3, 0.1), spikes(9)


def sdnn_cases():
    s = block.sigma_delta
    layer = lambda n, m, **k: s.Dense(dict(SDNN), n, m, **k)  # noqa: E731
    yield "sdnn", strong([s.Input(dict(SDNN)), layer(9, 7), layer(7, 5)], 3), values(9)
    out = s.Output(dict(SDNN), 7, 4)
    yield "sdnn_output", strong([s.Input(dict(SDNN), weight=0.5), layer(9, 7), out], 3), values(9)
    conv = s.Conv(dict(SDNN), 2, 3, 3, stride=2, padding=1)
    made = [s.Input(dict(SDNN)), conv, s.Flatten(), layer(3 * 3 * 2, 4)]
    yield "sdnn_conv", strong(made, 3), values(2, 5, 4)
    bias = normed(s.Dense({**SDNN, "norm": MEAN}, 9, 7), 0.3)
    yield "sdnn_norm", strong([s.Input(dict(SDNN)), bias, layer(7, 5)], 3), values(9)
    late = delayed(s.Dense(dict(SDNN), 9, 7, delay=True), 3)
    yield "sdnn_delay", strong([s.Input(dict(SDNN)), late, layer(7, 5)], 3), values(9)


def hand_cases():
    """What slayer runs and cannot export: the layer's group is written by hand."""
    made = strong([plain(), dense(m=6), block.cuba.Average(num_outputs=2)], 3, 0.1)
    yield "average", made, spikes(9)
    made = strong([plain(), dense(), block.cuba.KWTA(dict(CUBA), 7, 5, 2)], 3, 0.1)
    yield "kwta", made, spikes(9)
    made = strong([plain(), dense(), block.cuba.TimeDecimation(2)], 3, 0.1)
    yield "decimation", made, spikes(9)


def shifts_of(blocks):
    return sum(int(bool(getattr(b, "delay_shift", False))) for b in blocks if not is_sigma_input(b))


def is_sigma_input(b):
    return isinstance(b, block.sigma_delta.Input)


def run_slayer(blocks, x):
    """The last block's output, [T', *shape], from rest, in evaluation."""
    padded = torch.cat([x, torch.zeros(shifts_of(blocks) + 1, *x.shape[1:])])
    out = torch.movedim(padded, 0, -1)[None]
    with torch.no_grad():
        for b in blocks:
            b.eval()
            out = b(out)
    return torch.movedim(out[0], -1, 0).numpy()


def export(path, blocks):
    """Slayer's own export; (layer, error) of each block that has none."""
    failed = {}
    with h5py.File(path, "w", libver="v110") as file:
        for i, b in enumerate(blocks):
            group = file.create_group(f"layer/{i}")
            try:
                b.export_hdf5(group)
            except Exception as error:
                failed[str(i)] = f"{type(b).__name__}: {type(error).__name__}: {error}"
                by_hand(group, b)
    return failed


def by_hand(group, b):
    """What slayer's export did not come to write, in its layout."""
    if "shape" not in group:
        group["shape"] = np.array([getattr(b, "num_outputs", 0), 1, 1])
    if not hasattr(b, "synapse"):
        return
    s = b.synapse.real
    group["inChannels"], group["outChannels"], group["groups"] = s.in_channels, s.out_channels, s.groups
    for key, value in (("kernelSize", s.kernel_size), ("stride", s.stride), ("padding", s.padding),
                       ("dilation", s.dilation)):  # fmt: skip
        group[key] = value[:-1]
    for part in ("real", "imag"):
        w = b.neuron.quantize_8bit(getattr(b.synapse, part).weight, descale=True)
        group[f"weight/{part}"] = w.reshape(w.shape[:-1]).detach().numpy()
    for key, value in b.neuron.device_params.items():
        group[f"neuron/{key}"] = value


def run_netx(path, x, steps):
    """The last layer's output in netx, [T', *shape], and the decays of an RF layer."""
    from lava.lib.dl.netx.hdf5 import Network
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    with h5py.File(path) as file:
        first = {k: file["layer/0"][k][()] for k in ("type", "weight", "neuron/type", "neuron/vThMant")
                 if k in file["layer/0"]}  # fmt: skip
    bare = "neuron/type" not in first and first["type"][0] != b"input"
    sigma = first.get("neuron/type") == b"SDNN"
    shape = x.shape[1:][::-1]
    net = Network(net_config=str(path), input_shape=shape if bare else None, skip_layers=int(sigma))
    data = np.zeros((*shape, steps))
    data[..., : len(x)] = np.moveaxis(x, 0, -1).transpose(*range(x.ndim - 2, -1, -1), x.ndim - 1)
    start = net.inp
    if sigma:
        start, data = delta(net, shape, first), data * float(first.get("weight", [64])[0])
    source, sink = Source(data=data), Sink(shape=net.out.shape, buffer=steps)
    source.s_out.connect(start)
    net.out.connect(sink.a_in)
    net.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    got = sink.data.get()
    kept = {"netx": compact(got.transpose(got.ndim - 1, *range(got.ndim - 2, -1, -1)))}
    if hasattr(net.layers[-1].neuron, "sin_decay"):
        neuron = net.layers[-1].neuron
        kept["netx_decays"] = np.array([neuron.sin_decay.get()[0], neuron.cos_decay.get()[0]], np.int64)
    net.stop()
    return kept


def delta(net, shape, first):
    """netx connects the input of its Input block to nothing: skip the layer and encode before the network."""
    from lava.proc.sdn.process import Delta

    made = Delta(shape=shape, vth=int(first["neuron/vThMant"]), spike_exp=6, state_exp=6)
    made.s_out.connect(net.inp)
    return made.a_in


def compact(a):
    """uint8 for spikes, else float32: exact for both."""
    a = np.asarray(a)
    return a.astype(np.uint8) if np.isin(a, (0, 1)).all() else a.astype(np.float32)


def write(folder, name, blocks, x, netx):
    """One case; what there is to say about it."""
    path, about, out = folder / f"{name}.net", {}, np.zeros((0, 1))
    try:
        out = run_slayer(blocks, x)
    except (RuntimeError, TypeError, AttributeError) as error:
        about["slayer fails"] = f"{type(error).__name__}: {error}"
        blocks[-1].neuron.shape = torch.Size([blocks[-1].synapse.out_channels])
    if failed := export(path, blocks):
        about["by hand"] = failed
    kept = {"input": compact(x), "slayer": compact(out), "shifts": np.int64(shifts_of(blocks))}
    if netx:
        try:
            kept |= run_netx(path, x.numpy(), len(x) + shifts_of(blocks) + 1)
        except (Exception, SystemExit) as error:
            about["netx fails"] = (
                f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            )
    np.savez_compressed(folder / f"{name}.npz", **kept)
    return about | {"outputs": int(np.count_nonzero(out))}


def main() -> None:
    """Write the fixtures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--only", nargs="*", default=None, metavar="NAME")
    parser.add_argument("--no-netx", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    page = args.out / "about.json"
    about = json.loads(page.read_text()) if page.is_file() and args.only else {}
    families = (cuba_cases, norm_cases, input_cases, other_cases, sdnn_cases, hand_cases)
    for seed, family in enumerate(families):
        torch.manual_seed(seed)
        for name, blocks, x in family():
            if args.only is None or name in args.only:
                about[name] = write(args.out, name, blocks, x, not args.no_netx)
                print(name, about[name], flush=True)
    page.write_text(json.dumps(dict(sorted(about.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
