"""samples.parquet: the rows of samples.jsonl in columns, layers as a list of structs. Streams in row groups.

The same fields and names as energy/schema/samples-3.json, but that sample_id is always text and that `energy`
and `energy_pj` have one field a convention of this report. Rows wait, in columns, until a row group is full.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.json import ParseOptions, ReadOptions, read_json

from energy.accesses import WORDS
from energy.baselines import MEANS
from energy.line import COUNTS, MEASURES, STEPPED
from energy.operand import CLASSES
from energy.priced import BESIDE, PARTS
from energy.rows import Json

GROUP_BYTES = 16 << 20  # of columns in memory, before compression
_SHAPE = pa.list_(pa.int32())


def schema(conventions: list[str]) -> pa.Schema:
    """Columns of a report in these conventions; none: joules were refused."""
    counts = [(name, pa.int64()) for name in COUNTS]
    beside = pa.struct([(f"{part}_pj", pa.float64()) for part in BESIDE])
    parts = pa.struct([*((f"{part}_pj", pa.float64()) for part in (*PARTS, "total")), ("beside", beside)])
    layer = pa.struct([
        ("name", pa.string()), ("type", pa.string()), ("place", pa.string()),
        ("in_shape", _SHAPE), ("out_shape", _SHAPE),
        ("pool_folded", pa.bool_()), ("assumed_dense", pa.bool_()), ("operand_class", pa.string()),
        *counts, *((name, pa.float64()) for name in MEASURES),
        ("by_step", pa.struct([(name, pa.list_(pa.int64())) for name in STEPPED])),
        ("accesses", pa.struct([(name, pa.int64()) for name in WORDS])),
        ("energy_pj", _of(conventions, pa.float64())),
    ])  # fmt: skip
    classes = pa.struct([(name, pa.int64()) for name in CLASSES])
    return pa.schema([
        ("schema_version", pa.int32()), ("sample_id", pa.string()),
        ("label", pa.int32()), ("prediction", pa.int32()), ("correct", pa.bool_()),
        ("n_steps_used", pa.int32()), ("early_exit", pa.bool_()),
        ("layers", pa.list_(layer)),
        ("totals", pa.struct([*counts, ("sop_paper", pa.float64()), ("ops_by_class", classes)])),
        ("energy", _of(conventions, parts)), ("energy_refused", pa.string()),
        ("energy_incomplete", pa.string()),
        ("spread", pa.struct([("min_pj", pa.float64()), ("max_pj", pa.float64())])),
        ("twins", pa.struct([
            *((name, pa.float64()) for name in MEANS), ("qnn_bits", pa.int32()), ("verdict", pa.string()),
        ])),
        ("bit_budget", pa.struct([("ace", pa.int64()), ("ace_dense", pa.int64())])),
        ("latency_s", pa.float64()),
    ])  # fmt: skip


def _of(conventions: list[str], kind: pa.DataType) -> pa.DataType:
    """One field a convention; a column of nulls where there is none: Parquet has no empty struct."""
    return pa.struct([(name, kind) for name in conventions]) if conventions else pa.null()


class ParquetSamples:
    """A file that grows by rows: `with ParquetSamples(path) as file: file.add(rows, conventions)`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []

    def add(self, rows: list[Json], lines: list[str], conventions: list[str]) -> None:
        """Rows of samples.jsonl, all in the same conventions, and the same as lines of JSON.

        Arrow reads the lines, ten times as fast as it would walk the rows.
        """
        columns = schema(conventions)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, columns, compression="zstd")
        if not all(isinstance(row["sample_id"], str) for row in rows):
            lines = [json.dumps({**row, "sample_id": str(row["sample_id"])}) for row in rows]
        text = "\n".join(lines).encode()
        self._waiting.append(read_json(
            io.BytesIO(text), ReadOptions(use_threads=False, block_size=len(text) + 1),
            ParseOptions(explicit_schema=columns, unexpected_field_behavior="error"),
        ))  # fmt: skip
        if sum(table.nbytes for table in self._waiting) >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._waiting and self._writer is not None:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks())
        self._waiting = []

    def close(self) -> None:
        """Write what waits, and the end of the file."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> ParquetSamples:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
