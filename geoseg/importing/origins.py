"""Where weights come from: the names of ``--as``, and the files. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from geoseg.errors import ModelError

NETWORKS = ("smp", "torchvision", "openseg", "hrnet-ocr", "mmsegmentation", "sssegmentation")
"""Origins of segmentation networks."""
ENCODERS = ("torchvision", "torchgeo")
"""Origins of encoders alone."""
ORIGINS = tuple(dict.fromkeys((*NETWORKS, *ENCODERS)))
CONFIG = "config.json"
"""Of a folder that segmentation-models-pytorch has written."""
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def weights_file(path: Path) -> Path:
    """The file with the tensors; nothing of it is read.

    Args:
        path: a file, or a folder that segmentation-models-pytorch has written.

    Raises:
        ModelError: there is none.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise ModelError(f"{path}: no such file or folder; check the path")
    found = next((path / name for name in _WEIGHTS if (path / name).is_file()), None)
    if found is None or not (path / CONFIG).is_file():
        raise ModelError(
            f"{path}: lacks {CONFIG} or {' and '.join(_WEIGHTS)}; give a folder that "
            "segmentation-models-pytorch's save_pretrained has written, or a file"
        )
    return found
