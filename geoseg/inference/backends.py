"""What runs a network: torch as it is, or another library that is asked for by name.

They compute the same function; last bits differ, so the backend decides pixels. None is ever chosen
by timing: then the same command would give other pixels on another day.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from geoseg.errors import ConfigError, ModelError, one_line_reason
from geoseg.inference.forward_options import ForwardOptions, check_backend

Network = Callable[[Tensor], Tensor]
"""Windows ``(n, bands, height, width)`` to logits ``(n, classes, height, width)``."""


def with_backend(net: nn.Module, options: ForwardOptions) -> Network:
    """The network as the chosen backend runs it.

    Args:
        net: in eval mode, on the device of `options`.
        options: with the backend.

    Raises:
        ConfigError: this machine lacks what the backend needs.
    """
    check_backend(options.backend)  # a worker may lack what the client has
    if options.backend == "openvino":
        return _OpenVino(net, options.precision)
    if options.backend == "compile":
        return _Compiled(net, options.device)
    return net


class _Compiled:
    """A network that torch compiles for each size of its windows, which takes a minute or more."""

    def __init__(self, net: nn.Module, device: str) -> None:
        compiler = os.environ.get("CXX") or "c++"
        if device == "cpu" and not any(map(shutil.which, (compiler, "g++", "clang++", "cl"))):
            raise ConfigError(
                "backend compile needs a C++ compiler, and none is there; install one (g++), "
                "or use --backend torch or openvino"
            )
        self._net: Network = torch.compile(net, dynamic=False)

    def __call__(self, x: Tensor) -> Tensor:
        try:
            return self._net(x)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise ModelError(
                f"torch cannot compile the network ({one_line_reason(error)}); use --backend torch"
            ) from error


class _OpenVino:
    """A network that OpenVINO runs on a CPU, converted for each size of its windows."""

    def __init__(self, net: nn.Module, precision: str) -> None:
        import openvino
        from openvino.frontend import FrontEndManager

        # The front end itself, as `openvino.convert_model` reports what it does to its makers.
        self._front = FrontEndManager().load_by_framework("pytorch")
        self._compile, self._net = openvino.compile_model, net
        self._settings = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32" if precision == "fp32" else precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._requests: dict[torch.Size, Any] = {}

    def __call__(self, x: Tensor) -> Tensor:
        # One window at a time: so its bits do not depend on those that it came with.
        return torch.cat([self._run(window) for window in torch.split(x, 1)])

    def _run(self, window: Tensor) -> Tensor:
        if window.shape not in self._requests:
            self._requests[window.shape] = self._converted(window)
        (logits,) = self._requests[window.shape].infer([window.contiguous().numpy()]).values()
        return torch.from_numpy(logits.copy())  # what it gave is overwritten by the next

    def _converted(self, window: Tensor) -> Any:
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        with (
            warnings.catch_warnings(),
            torch.inference_mode(False),
            torch.no_grad(),
            torch.autocast("cpu", enabled=False),  # OpenVINO chooses its numbers itself
        ):
            # Sizes become constants, as is meant: there is a conversion for each size.
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)  # OpenVINO's own call
            try:
                decoder = TorchScriptPythonDecoder(self._net, example_input=window.clone())
                model = self._front.convert(self._front.load(decoder))
                model.reshape(list(window.shape))
                compiled = self._compile(model, "CPU", self._settings)
            except (RuntimeError, TypeError, ValueError) as error:
                raise ModelError(
                    f"OpenVINO cannot run the network ({one_line_reason(error)}); "
                    "use --backend torch"
                ) from error
        return compiled.create_infer_request()
