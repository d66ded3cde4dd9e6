"""What a module does to an image, as text, by which it is known again.

torch.export says it too, and to import and run it takes seconds. So the operations of torch are
noted while a small image goes through, as long as none of them shows the module a value: then what
it does next cannot hang on the image. Where one does, torch.export decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from geoseg.errors import ModelError
from geoseg.models.external_file import tracing_quietly
from geoseg.models.external_output import main_tensor

_PLAIN = (
    bool,
    int,
    float,
    complex,
    str,
    type(None),
    torch.dtype,
    torch.layout,
    torch.memory_format,
)
"""Types of arguments whose text says all of them."""
_LOOKS = frozenset(
    getattr(Tensor, name)
    for name in ("numpy", "tolist", "__array__", "__dlpack__", "data_ptr", "untyped_storage")
)
"""What gives a tensor's values to others than torch."""


def graph_of(module: nn.Module, image: Tensor) -> str:
    """What a module does to an image, as text; other texts are of other functions.

    Args:
        module: in eval mode.
        image: ``(1, bands, H, W)`` float32, where the module is.

    Raises:
        Exception: of torch or the module, where it cannot be traced.
    """
    try:
        return noted_operations(module, image)
    except Exception:  # what foreign code raises has no end
        with tracing_quietly():
            program = torch.export.export(module, (image,))
        held = (each for _, each in sorted(program.constants.items()) if isinstance(each, Tensor))
        return "\n".join([str(program.graph_module.code), *map(_digest, held)])


def noted_operations(module: nn.Module, image: Tensor) -> str:
    """The operations that a module runs on an image, a line each.

    Args:
        module: in eval mode.
        image: as `graph_of` takes it.

    Raises:
        ModelError: what it does may hang on the image's values, or cannot be seen.
        Exception: of torch or the module.
    """
    if any(isinstance(each, torch.jit.ScriptModule) for each in module.modules()):
        raise ModelError("it has parts in TorchScript, which decide by themselves what they do")
    with torch.no_grad():
        module(image)  # what it keeps from one image for the next is kept by now
        notes = _Notes(module, image)
        with _NoLooks(), notes:
            given = module(image)
    return notes.text(main_tensor(given))


def named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers, also those that no file of weights has."""
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def stored_bytes(tensor: Tensor) -> bytes:
    """A tensor's type, shape and values."""
    facts = f"{tensor.dtype} {tuple(tensor.shape)}".encode()
    values = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
    return facts + values.numpy().tobytes()


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(stored_bytes(tensor)).hexdigest()


class _NoLooks(TorchFunctionMode):
    """Refuses to give values to others than torch."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _LOOKS:
            raise ModelError(f"it looks at values of tensors (Tensor.{func.__name__})")
        return func(*args, **(kwargs or {}))


class _Notes(TorchDispatchMode):
    """A line for each operation: its name, which tensors it takes, and all other arguments."""

    def __init__(self, module: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._lines: list[str] = []
        self._constants: list[Tensor] = []
        self._results = 0
        self._names = WeakTensorKeyDictionary()  # not by their addresses, which are used again
        for name, tensor in named_tensors(module):
            self._names[tensor] = name
        self._names[image] = "image"

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No, as torch would import its compiler for that."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if _sizes_by_values(func, args):
            raise ModelError(f"sizes of its tensors hang on values ({func})")
        taken = self._text_of([*args, *sorted((kwargs or {}).items())])
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, Tensor):
                self._results += 1
                if each not in self._names:  # one that was changed in place keeps its name
                    self._names[each] = f"%{self._results}"
            elif each is not None:
                raise ModelError(f"it looks at values of tensors ({func})")
        self._lines.append(f"{func} {taken} -> {self._text_of(result)}")
        return result

    def _text_of(self, value: Any) -> str:
        """An argument or a result as text, which has no addresses in it.

        Raises:
            ModelError: it is something that no text stands for.
        """
        if isinstance(value, Tensor):
            if value not in self._names:  # no parameter, no buffer and no result
                self._names[value] = f"constant {len(self._constants)}"
                self._constants.append(value.clone())
            return str(self._names[value])
        if isinstance(value, tuple | list):
            return f"[{', '.join(map(self._text_of, value))}]"
        if isinstance(value, torch.device):
            return value.type
        if isinstance(value, _PLAIN):
            return repr(value)
        raise ModelError(f"it calls functions of torch with a {type(value).__name__}")

    def text(self, given: Tensor) -> str:
        """All lines, which of the tensors the module gives, and what its constants hold."""
        return "\n".join([*self._lines, self._text_of(given), *map(_digest, self._constants)])


def _sizes_by_values(func: Any, args: Sequence[Any]) -> bool:
    """Whether the shape of what an operation gives hangs on the values that it takes."""
    if torch.Tag.dynamic_output_shape not in func.tags:
        return False
    if func is not torch.ops.aten.index.Tensor:
        return True
    return any(each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1])
