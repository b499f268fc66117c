"""ONNX Runtime: one model loaded, run on arrays or on tensors bound once. The one file that imports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from convert.ir import BadInput, Input, Unsupported
from convert.to_onnx import read_metadata

NUMPY = {
    "tensor(uint8)": np.uint8, "tensor(int32)": np.int32, "tensor(int64)": np.int64,
    "tensor(float)": np.float32, "tensor(double)": np.float64,
}  # fmt: skip


class Session:
    """One model in the runtime, and its metadata; errors of the runtime become one line.

    whole_products: uint8 x int8 products are added up in 32 bits on every processor. Without it x86 kernels
    that lack dot-product instructions (VNNI) add pairs of them in 16 bits, which saturate: 255 x 127 twice is
    64,770, and 32,767 is what remains. They are faster, and right where 2 x w <= 32767 is proven
    (convert.onnx_model.arithmetic); of a network that was quantised by ranges nothing is proven.
    """

    def __init__(self, model: bytes, where: str, threads: int, whole_products: bool = False) -> None:
        self.where = where
        self.metadata = read_metadata(model, where)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if whole_products:
            options.add_session_config_entry("session.x64quantprecision", "1")
        try:
            self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's classes have no common base but Exception
            reason = f"ONNX Runtime does not load it ({_line(error)})"
            raise Unsupported(where, reason, "convert the model again") from error
        self.outputs = [o.name for o in self.session.get_outputs()]
        types = {i.name: i.type for i in self.session.get_inputs()}
        self.x_dtype = NUMPY[types["x"]] if "x" in types else None  # a decoder takes maps, no x
        described = dict(self.metadata.get("graph_input", {"name": "x", "shape": (), "operand": "real"}))
        self.source_name = described.pop("name")
        self.source = Input(**described)

    def run(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name."""
        try:
            return dict(zip(self.outputs, self.session.run(None, dict(feed)), strict=True))
        except Exception as error:  # as above
            raise self._failed(error) from error

    def bound(
        self, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
    ) -> Callable[[], None]:
        """A function that runs the model from these arrays into those, in place: nothing is copied or
        allocated for them. They must stay as they are: C-contiguous, of the model's types and shapes."""
        binding = self.session.io_binding()
        keep = []  # the runtime sees the arrays' memory; the closure keeps it
        for bind, arrays in ((binding.bind_ortvalue_input, inputs), (binding.bind_ortvalue_output, outputs)):
            for name, array in arrays.items():
                value = onnxruntime.OrtValue.ortvalue_from_numpy(array)
                bind(name, value)
                keep.append((array, value))

        def run(keep: object = keep) -> None:
            try:
                self.session.run_with_iobinding(binding)
            except Exception as error:  # as above
                raise self._failed(error) from error

        return run

    def _failed(self, error: Exception) -> BadInput:
        return BadInput(f"{self.where}: ONNX Runtime failed ({_line(error)})")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def check_form(session: Session, form: str) -> None:
    """BadInput unless the model is of that form, 'step' or 'scan'."""
    found = session.metadata["basalt.form"]
    if found != form:
        raise BadInput(
            f"{session.where}: is a {found} model, expected a {form} model; convert the model again"
        )


def read_model(path: Path) -> bytes:
    """The bytes of a written model."""
    if not Path(path).is_file():
        raise BadInput(f"{path}: no such file; write one with convert --to onnx")
    return Path(path).read_bytes()
