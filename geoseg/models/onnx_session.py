"""ONNX files opened in onnxruntime, an extra."""

from __future__ import annotations

import importlib.util
from typing import Any

from geoseg.errors import ModelError, one_line_reason

INTEGERS = {
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
}
"""Types of images that are no floats, by onnxruntime's names."""


def open_session(content: bytes, where: str, threads: int = 1) -> Any:
    """An onnxruntime session of a file's content.

    Args:
        content: all bytes of the file.
        where: its name, for messages.
        threads: that one run takes.

    Raises:
        ModelError: onnxruntime is missing, or does not take the file.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise ModelError(
            f"{where}: needs onnxruntime, which is not installed; pip install 'geoseg[export]'"
        )
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(content, options, onnxruntime.get_available_providers())
    except Exception as error:  # its own exceptions have no common class but this
        if type(error).__name__ == "InvalidProtobuf":
            raise ModelError(
                f"{where}: is no ONNX file, or is cut short; copy or download it again"
            ) from error
        raise ModelError(
            f"{where}: onnxruntime does not take it ({one_line_reason(error)}); "
            "a file whose weights lie in another file must be written as one"
        ) from error
