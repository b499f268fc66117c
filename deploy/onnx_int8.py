"""Eight bits for a float ONNX network, by ONNX Runtime's static quantisation.

Weights int8, symmetric, a scale a channel; activations uint8, their ranges from calibration samples. Scales
sit beside the operators (QDQ), which the runtime fuses into integer convolutions; who runs the file asks for
products that do not saturate (deploy.onnx_session, `whole_products`). The calibration sees every sample once,
in batches.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from onnxruntime import quantization
from onnxruntime.quantization import shape_inference

from convert.ir import BadInput


class _Reader(quantization.CalibrationDataReader):
    """Batches of x, one after the other."""

    def __init__(self, batches: Iterator[np.ndarray]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch, or None at the end."""
        x = next(self._batches, None)
        return None if x is None else {"x": x}


def quantise(model: bytes, samples: Iterable[np.ndarray], where: str) -> bytes:
    """A float network (input x) -> its 8-bit form; samples: batches float32 [n, *shape] to calibrate on.

    Ranges go from the mean of the batches' smallest values to the mean of their largest: one bright picture
    does not coarsen them for all. BadInput, naming `where`, if the runtime refuses.
    """
    with tempfile.TemporaryDirectory(prefix="basalt-int8.") as folder:
        source, ready, done = (Path(folder) / name for name in ("float.onnx", "ready.onnx", "int8.onnx"))
        source.write_bytes(model)
        level = logging.getLogger().level
        try:
            logging.getLogger().setLevel(logging.ERROR)  # it advises what has been done here
            shape_inference.quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(ready), str(done), _Reader(iter(samples)),
                quant_format=quantization.QuantFormat.QDQ, per_channel=True,
                activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
                calibrate_method=quantization.CalibrationMethod.MinMax,
                extra_options={"CalibMovingAverage": True},
            )  # fmt: skip
        except Exception as error:  # the runtime's classes have no common base but Exception
            reason = " ".join(str(error).split())[:300]
            raise BadInput(f"{where}: ONNX Runtime does not quantise it ({reason}); take float") from error
        finally:
            logging.getLogger().setLevel(level)
        return done.read_bytes()
