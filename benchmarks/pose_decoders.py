"""How far decoded joints lie from the true ones: every codec, perfect maps and noisy ones, three input sizes.

    python -m benchmarks.pose_decoders [--joints 6800] [--seeds 3] [--convention areas] [--anywhere]

No data set: joints are drawn, encoded, disturbed and decoded (torch, float32); errors in input pixels, the
mean over the seeds. Stride 4, sigma 2 cells, offsets within 4 cells. "noisy": heatmap sigma 0.05, offsets 0.5
cells, every cell its own. "smooth": the same strengths, but noise that neighbours share (blurred by 1.5
cells), as a network's errors are. Joints keep a tenth of the input away from its edges unless --anywhere.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import describe
from train.pose.codecs.blur import blur_matrix
from train.pose.codecs.codec import Codec
from train.pose.codecs.registry import codec
from train.pose.convention import CONVENTIONS, MapGrid, PixelConvention

SIZES = ((48, 64), (96, 128), (192, 256))
STRIDE, SPLIT, AT_ONCE, PERSON = 4, 2, 100, 17
HEAT, OFFSET, SHARED = 0.05, 0.5, 1.5
CONDITIONS = ("perfect", "noisy", "smooth")
ROWS = {
    "heatmap, highest cell": ("heatmap", {}),
    "heatmap, quarter, rounded targets": ("heatmap", {"reading": "quarter", "rounded": True}),
    "heatmap, quarter": ("heatmap", {"reading": "quarter"}),
    "DARK": ("dark", {}),
    "UDP, class and offset": ("udp", {}),
    "SimCC, split 2": ("simcc", {}),
    "offset at the peak": ("offset", {"offset": "peak"}),
    "offset, mean": ("offset", {"offset": "mean"}),
    "offset, vote": ("offset", {"offset": "vote"}),
    "**offset, fused**": ("offset", {"offset": "fused"}),
}


def main() -> None:
    """Print one table: a row a codec, a column a size and condition."""
    args = _arguments()
    convention = CONVENTIONS[args.convention]
    print(describe())
    print(f"{args.joints} joints, {args.seeds} seeds, convention {args.convention}")
    heads = [f"{h}x{w} {condition}" for w, h in SIZES for condition in CONDITIONS]
    print(f"\n| decoder | {' | '.join(heads)} | us a joint |\n|---|{'---|' * (len(heads) + 1)}")
    for title, (name, settings) in ROWS.items():
        cells, spent = [], 0.0
        for size in SIZES:
            found = codec(name, _grid(name, size, convention), **settings)
            for condition in CONDITIONS:
                errors, spent = _errors(found, condition, args)
                cells.append(f"{errors.mean():.3f}")
        print(f"| {title} | {' | '.join(cells)} | {1e6 * spent:.1f} |", flush=True)


def _arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--joints", type=int, default=6800)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--convention", choices=sorted(CONVENTIONS), default="areas")
    parser.add_argument("--anywhere", action="store_true")
    return parser.parse_args()


def _grid(name: str, size: tuple[int, int], convention: PixelConvention) -> MapGrid:
    across, down = (n * SPLIT if name == "simcc" else n // STRIDE for n in size)
    return MapGrid(size, (across, down), convention)


def _errors(c: Codec, condition: str, args: Namespace) -> tuple[np.ndarray, float]:
    """Distances of all joints and seeds in pixels, and seconds a joint of decoding at the size of `c`."""
    errors, spent = [], 0.0
    for seed in range(args.seeds):
        for xy, maps in _batches(c, condition, seed, args):
            start = time.perf_counter()
            found = c.decode_torch(maps).xy
            spent += time.perf_counter() - start
            errors.append(np.linalg.norm(found.numpy() - xy, axis=-1).ravel())
    return np.concatenate(errors), spent / (args.seeds * args.joints)


def _batches(
    c: Codec, condition: str, seed: int, args: Namespace
) -> Iterator[tuple[np.ndarray, dict[str, Tensor]]]:
    """Joints [N, 17, 2] and their maps, disturbed; the same joints for every codec of one size."""
    places = np.random.default_rng([seed, *c.grid.input_size])
    noise = torch.Generator().manual_seed(seed)
    size = np.array(c.grid.input_size)
    margin = np.zeros(2) if args.anywhere else 0.1 * size
    for first in range(0, args.joints // PERSON, AT_ONCE):
        n = min(AT_ONCE, args.joints // PERSON - first)
        xy = places.uniform(margin, size - margin, (n, PERSON, 2))
        xy += c.grid.convention.c - 0.5
        made = c.encode(xy, np.ones((n, PERSON)))
        yield (
            xy,
            {h: torch.from_numpy(made[h]) + _noise(c, h, made[h].shape, condition, noise) for h in c.heads},
        )


def _noise(c: Codec, head: str, shape: tuple[int, ...], condition: str, generator: torch.Generator) -> Tensor:
    if condition == "perfect":
        return torch.zeros(())
    noise = torch.randn(shape, generator=generator)
    if condition == "smooth":
        for axis in range(3 if c.heads[head] == "vector" else 2, len(shape)):
            matrix = blur_matrix(shape[axis], SHARED)
            spread = torch.tensor(np.linalg.norm(matrix, axis=1), dtype=torch.float32)
            noise = torch.tensordot(noise, torch.tensor(matrix.T, dtype=torch.float32), dims=([axis], [0]))
            noise = (noise / spread).movedim(-1, axis)
    return noise * (OFFSET / c.radius if c.heads[head] == "vector" else HEAT)


if __name__ == "__main__":
    main()
