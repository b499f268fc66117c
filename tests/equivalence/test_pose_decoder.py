"""The ONNX decoder gives what the codec gives, for any number of persons and joints."""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from convert.ir import Unsupported
from convert.onnx_model import pose_decoder
from convert.onnx_model.pose_decoder import HEADS, decoder_model
from train.pose.codecs import blur
from train.pose.codecs.offset import OFFSETS
from train.pose.codecs.registry import CODECS, codec
from train.pose.convention import CONVENTIONS, MapGrid

CASES = [("offset", {"offset": how}) for how in OFFSETS] + [
    ("heatmap", {}), ("heatmap", {"reading": "quarter"}), ("dark", {}), ("udp", {}), ("simcc", {}),
]  # fmt: skip
# Cells: float32 on both sides, sums of up to 81 terms in another order; DARK divides by small curvatures.
TOLERANCE = {"dark": 2e-3}


def drawn(c, n, k, noise, seed=0):
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, c.grid.input_size, (n, k, 2))
    maps = c.encode(xy, np.ones((n, k)))
    return {h: (maps[h] + noise * rng.standard_normal(maps[h].shape)).astype(np.float32) for h in c.heads}


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_onnx_gives_what_the_codec_gives(name, settings, convention):
    cells = (128, 96) if name == "simcc" else (16, 12)
    c = codec(name, MapGrid((64, 48), cells, CONVENTIONS[convention]), **settings)
    model = decoder_model(json.loads(json.dumps(c.description())))
    assert not [n for n in model.graph.node if n.op_type in ("Loop", "Scan", "If")]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for n, k, noise in ((3, 17, 0.0), (1, 5, 0.1), (0, 4, 0.0), (40, 2, 0.05)):
        maps = drawn(c, n, k, noise)
        xy, score = session.run(["xy", "score"], maps)
        want = c.decode_torch({h: torch.tensor(v) for h, v in maps.items()})
        assert xy.shape == (n, k, 2) and score.shape == (n, k) and xy.dtype == np.float32
        if name == "udp" and not noise:  # equal cells of a blurred disc: either is the highest
            assert np.abs(xy - want.xy.numpy()).max(initial=0) < 1e-3
            continue
        error = np.abs((xy - want.xy.numpy()) / c.grid.stride).max(initial=0)
        assert error <= TOLERANCE.get(name, 2e-4)
        assert np.abs(score - want.score.numpy()).max(initial=0) <= 1e-6


def test_the_same_codec_gives_the_same_bytes():
    c = codec("offset", MapGrid((64, 48), (16, 12)))
    first, second = (decoder_model(c.description()).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_every_codec_has_an_onnx_form_with_the_same_heads():
    assert {name: tuple(kind.heads) for name, kind in CODECS.items()} == HEADS


def test_an_unknown_codec_is_refused():
    c = codec("offset", MapGrid((64, 48), (16, 12)))
    with pytest.raises(Unsupported, match="choose one of"):
        decoder_model({**c.description(), "codec": "heat"})
    with pytest.raises(Unsupported, match="choose none, peak"):
        decoder_model({**c.description(), "offset": "median"})


@pytest.mark.parametrize(("n", "sigma", "taps"), [(12, 2.0, 11), (3, 2.0, 11), (16, 0.7, 5), (1, 1.0, 11)])
def test_the_blur_is_the_codecs_own(n, sigma, taps):
    """Written twice, as `convert` imports nothing of `train`: the same numbers, to the last bit."""
    np.testing.assert_array_equal(pose_decoder.blur_matrix(n, sigma, taps), blur.blur_matrix(n, sigma, taps))
