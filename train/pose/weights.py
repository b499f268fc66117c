"""Weights to begin from: a safetensors file of a backbone, by parameter name. Nothing is ever downloaded.

Names are torchvision's for ResNet, the authors' for HRNet, ours for the small ones; a common prefix
("backbone.", "model.backbone.", "module.") is taken off. What a backbone has beyond such a file
(deconvolutions) stays as it was drawn, what the file has beyond the backbone (a classifier) is ignored; a
layer of the backbone proper that the file lacks, or has in another shape, is an error.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from train.checkpoint import CheckpointError

PREFIXES = ("model.backbone.", "module.", "backbone.", "model.")
OURS_ALONE = ("deconv_layers.",)  # of a ResNet: no classifier has them
UNTRAINED = ("num_batches_tracked",)


def load_weights(backbone: nn.Module, path: Path) -> tuple[int, int]:
    """Copy what the file has into the backbone; tensors taken, and tensors of the file that were not.

    A CheckpointError names the first tensor that is missing or of another shape.
    """
    found = _plain(_read(path))
    ours = backbone.state_dict()
    for name, tensor in ours.items():
        if name.endswith(UNTRAINED) or (name not in found and name.startswith(OURS_ALONE)):
            continue
        if name not in found:
            raise CheckpointError(path, f"no tensor {name}", f"weights of {type(backbone).__name__}")
        if found[name].shape != tensor.shape:
            got, want = list(found[name].shape), list(tensor.shape)
            raise CheckpointError(path, f"{name} of shape {got}", f"shape {want}")
    taken = {name: x.to(ours[name].dtype) for name, x in found.items() if name in ours}
    backbone.load_state_dict(taken, strict=False)
    return len(taken), len(found) - len(taken)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(path, "no such file", "a .safetensors file of weights")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(path, str(error), "a whole safetensors file") from error


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the first prefix that any name has; then with the names under it alone."""
    prefix = next((p for p in PREFIXES if any(name.startswith(p) for name in tensors)), "")
    return {name[len(prefix) :]: x for name, x in tensors.items() if name.startswith(prefix)}
