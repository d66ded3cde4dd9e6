"""Rows on their way into one open file, by the Arrow C stream interface.

pyogrio has a file open for as long as it reads such a stream; its other ways in open the file anew
for each table, which a GeoPackage's index and a FlatGeobuf do not bear. The structures are those of
https://arrow.apache.org/docs/format/CStreamInterface.html, in memory of numpy's.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterator, Mapping, Sequence
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p, pointer
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RELEASE = CFUNCTYPE(None, c_void_p)
_NULLABLE = 2


class _Schema(Structure):
    pass


class _Array(Structure):
    pass


_Schema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_char_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(_Schema))),
    ("dictionary", POINTER(_Schema)),
    ("release", _RELEASE),
    ("private_data", c_void_p),
]
_Array._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(_Array))),
    ("dictionary", POINTER(_Array)),
    ("release", _RELEASE),
    ("private_data", c_void_p),
]


_GET_SCHEMA = CFUNCTYPE(c_int, c_void_p, POINTER(_Schema))
_GET_NEXT = CFUNCTYPE(c_int, c_void_p, POINTER(_Array))
_GET_ERROR = CFUNCTYPE(c_void_p, c_void_p)


class _Stream(Structure):
    _fields_ = (
        ("get_schema", _GET_SCHEMA),
        ("get_next", _GET_NEXT),
        ("get_last_error", _GET_ERROR),
        ("release", _RELEASE),
        ("private_data", c_void_p),
    )


Columns = Sequence[NDArray[Any]]
"""int32, float64 (NaN: none), or objects, all texts or all WKB; in the order of their kinds."""

_FORMATS = {"int32": b"i", "float64": b"g", "text": b"U", "geometry": b"Z"}
"""Arrow's letters; texts and bytes with offsets of 64 bits."""
_EXTENSION = (b"ARROW:extension:name", b"ogc.wkb")
_FAILED = ctypes.create_string_buffer(b"the rows could not be made")
_IS_GEOMETRY = struct.pack("=i", 1) + b"".join(
    struct.pack("=i", len(text)) + text for text in _EXTENSION
)
"""Metadata of a column: one pair of texts, each after its length."""


class ArrowStream:
    """Tables as the Arrow C stream that pyogrio reads, once.

    Args:
        kinds: of each column by its name: int32, float64, text or geometry (WKB).
        tables: with these columns; consumed as they are asked for.
    """

    def __init__(self, kinds: Mapping[str, str], tables: Iterator[Columns]) -> None:
        self.error: BaseException | None = None
        """What `tables` has raised."""
        self._kinds = kinds
        self._tables = tables
        self._schema: Any = None
        self._table: Any = None  # the last one: the reader is done with those before
        self._stream = _Stream(
            _GET_SCHEMA(self._get_schema),
            _GET_NEXT(self._get_next),
            _GET_ERROR(lambda _: ctypes.addressof(_FAILED)),
            _released(_Stream),
        )

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        """The capsule that holds the stream; valid as long as this object is."""
        make = ctypes.pythonapi.PyCapsule_New
        make.restype, make.argtypes = ctypes.py_object, [c_void_p, c_char_p, c_void_p]
        return make(ctypes.addressof(self._stream), b"arrow_array_stream", None)

    def _get_schema(self, _: int, out: Any) -> int:
        children = [
            _Schema(
                _FORMATS[kind],
                name.encode(),
                _IS_GEOMETRY if kind == "geometry" else None,
                _NULLABLE,
                release=_END_OF_SCHEMA,
            )
            for name, kind in self._kinds.items()
        ]
        listed = _pointers(_Schema, children)
        out[0] = _Schema(
            b"+s", b"", n_children=len(children), children=listed, release=_END_OF_SCHEMA
        )
        self._schema = children, listed
        return 0

    def _get_next(self, _: int, out: Any) -> int:
        try:
            table = next(self._tables, None)
            out[0] = _Array() if table is None else self._array(table)  # without release: the end
        except BaseException as error:  # nothing can pass through C
            self.error = error
            return errno.EIO
        return 0

    def _array(self, table: Columns) -> _Array:
        rows = len(table[0])
        columns = [_buffers(*each) for each in zip(self._kinds.values(), table, strict=True)]
        places = [(c_void_p * len(each))(*map(_address, each)) for each in columns]
        children = [
            _Array(rows, -1, 0, len(place), 0, place, release=_END_OF_ARRAY)  # nulls not counted
            for place in places
        ]
        listed, none = _pointers(_Array, children), (c_void_p * 1)(None)
        self._table = table, columns, places, children, listed, none
        return _Array(rows, 0, 0, 1, len(children), none, listed, release=_END_OF_ARRAY)


def _released(kind: type[Structure]) -> Any:
    """What a reader calls when it is done with a structure, whose memory is ours."""

    def release(place: int) -> None:
        ctypes.cast(place, POINTER(kind)).contents.release = _RELEASE()

    return _RELEASE(release)


_END_OF_SCHEMA, _END_OF_ARRAY = _released(_Schema), _released(_Array)


def _address(buffer: NDArray[Any] | None) -> int | None:
    return None if buffer is None else buffer.ctypes.data


def _pointers(kind: Any, items: list[Any]) -> Any:
    return (POINTER(kind) * len(items))(*map(pointer, items))


def _buffers(kind: str, values: NDArray[Any]) -> list[NDArray[Any] | None]:
    """Validity, offsets and content of a column."""
    if kind == "int32":
        return [None, np.ascontiguousarray(values, np.int32)]
    if kind == "float64":
        numbers = np.ascontiguousarray(values, np.float64)
        known = ~np.isnan(numbers)
        valid = None if known.all() else np.packbits(known, bitorder="little")
        return [valid, numbers]
    texts = values.tolist()
    if kind == "text":  # few differ
        encoded = {text: text.encode() for text in set(texts)}
        texts = [encoded[text] for text in texts]
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
    return [None, offsets, np.frombuffer(b"".join(texts) or b"\0", np.uint8)]
