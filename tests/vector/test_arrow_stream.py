from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from geoseg.vector.arrow_stream import ArrowStream, Columns

KINDS = {"n": "int32", "x": "float64", "name": "text", "shape": "geometry"}


def table(start: int, count: int) -> Columns:
    numbers = np.arange(start, start + count)
    texts = np.array(["ä" * (number % 3) for number in numbers], object)
    shapes = np.array([bytes([number % 256]) * number for number in numbers], object)
    return [numbers, np.where(numbers % 2, np.nan, numbers / 4), texts, shapes]


def test_arrow_reads_the_tables_as_they_are() -> None:
    tables = [table(0, 5), table(5, 0), table(5, 70)]
    read = pa.RecordBatchReader.from_stream(ArrowStream(KINDS, iter(tables)))
    batches = [
        [column.to_pylist() for column in batch.columns]  # before the next one is asked for
        for batch in read
    ]
    assert [len(batch[0]) for batch in batches] == [5, 0, 70]
    for batch, (numbers, floats, texts, shapes) in zip(batches, tables, strict=True):
        assert batch[0] == numbers.tolist()
        assert batch[1] == [None if np.isnan(x) else x for x in floats]
        assert batch[2] == texts.tolist()
        assert batch[3] == shapes.tolist()
    assert read.schema.names == list(KINDS)
    assert read.schema.field("shape").metadata == {b"ARROW:extension:name": b"ogc.wkb"}


def test_an_error_of_the_tables_ends_the_stream_and_is_kept() -> None:
    def tables() -> Iterator[Columns]:
        yield table(0, 1)
        raise KeyError("gone")

    stream = ArrowStream(KINDS, tables())
    read = pa.RecordBatchReader.from_stream(stream)
    next(read)
    with pytest.raises(OSError, match="the rows could not be made"):
        next(read)
    assert isinstance(stream.error, KeyError)
