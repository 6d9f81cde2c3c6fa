"""Files of weights: safetensors only, with the expected names, shapes and types, and finite values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cotpd.core.errors import CheckpointError

_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors. Raises OSError if they cannot be written, for example on a full disk."""
    try:
        save_file(dict(tensors), path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written ({error}); free some space and resume") from error


def read_tensors(path: Path, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read the tensors of a file that has exactly the names, shapes and types of ``like``.

    Raises:
        CheckpointError: As `require_fitting`, or if a value is NaN or infinite.
    """
    require_fitting(path, like)
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in like}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: {name} has values that are NaN or infinite; use another checkpoint")
    return tensors


def require_fitting(path: Path, like: Mapping[str, Tensor]) -> None:
    """Check names, shapes and types by the head of the file, before memory is needed for the values.

    Args:
        path: The file.
        like: The expected tensors, which may be without storage (on the device ``meta``).

    Raises:
        CheckpointError: If the file is a pickle, damaged, or has other tensors.
    """
    _require_no_pickle(path)
    with _opened(path) as file:
        names = set(file.keys())
        for what, different in (("lacks", like.keys() - names), ("has the unknown weight", names - like.keys())):
            if different:
                raise _misfit(path, f"it {what} {min(different)} ({len(different)} in all)")
        for name, tensor in like.items():
            part = file.get_slice(name)
            if part.get_shape() != list(tensor.shape):
                raise _misfit(path, f"{name} has the shape {part.get_shape()}, expected {list(tensor.shape)}")
            if _TYPES.get(part.get_dtype()) != tensor.dtype:
                expected = str(tensor.dtype).removeprefix("torch.")
                raise _misfit(path, f"{name} has the type {part.get_dtype()}, expected {expected}")


def _misfit(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path}: the weights do not fit config.json: {reason}")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not a complete safetensors file: {error}") from error


def _require_no_pickle(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    if start.startswith(_PICKLE_STARTS):
        raise CheckpointError(f"{path}: a pickle, which can run code when loaded; only safetensors are accepted")
