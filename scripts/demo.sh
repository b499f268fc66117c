#!/bin/sh
# The whole way on the embedded data: train, convert, simulate on every target present, energy of a sample.
# Usage: scripts/demo.sh PYTHON
set -eu
PYTHON=${1:-python3}
cd "$(dirname "$0")/.."
OUT=out/demo
RUN=runs/demo
rm -rf "$RUN" "$OUT"

say() { printf '\n== %s\n' "$*"; }

say "train Base-SGN on the synthetic actions (about two minutes)"
"$PYTHON" cli.py train --model base-sgn --dataset synthetic --stream joint+bone --out "$RUN" \
    --epochs 30 --set channels=32,32,64,64

say "convert it to ONNX and to Lava's form"
"$PYTHON" cli.py convert "$RUN" --to onnx --out "$OUT/onnx"
"$PYTHON" cli.py convert "$RUN" --to lava --out "$OUT/lava"

say "simulate it: the float graph, then the integers on every target present"
"$PYTHON" cli.py simulate "$OUT/onnx" --target onnx --split test
for target in reference onnx loihi-sim; do
    "$PYTHON" cli.py simulate "$OUT/lava" --target "$target" --form integer --split test
done
# Lava takes seconds a sample: a few are enough to see it run. Without `make lava` this says so and goes on.
"$PYTHON" cli.py simulate "$OUT/lava" --target lava --limit 4 || [ $? -eq 4 ]

say "the same spikes everywhere"
"$PYTHON" cli.py verify "$OUT/lava" --samples 4

say "energy of one sample, layer by layer"
"$PYTHON" cli.py energy-report "$OUT/lava" --split test --cost-table horowitz45-fp32 --out "$OUT/energy" --limit 1
