"""Checksums of what is stored, the same before it is written and after it is read: bits that flipped are found."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
import xarray as xr


def sum_of_dataset(dataset: xr.Dataset) -> str:
    """A hash of a dataset's values, names, and attributes but for `checksum`."""
    content = sha256()
    for name in sorted(dataset.variables, key=str):
        variable = dataset.variables[name]
        content.update(f"{name} {variable.dims} {variable.shape}".encode())
        values = variable.values
        if values.dtype.kind in "biuf":
            numbers = values.astype(np.float64)
            content.update(np.where(np.isnan(numbers), np.nan, numbers).tobytes())
        else:
            content.update("\0".join(map(str, values.ravel())).encode())
    for name, value in sorted(dataset.attrs.items()):
        if name != "checksum":
            content.update(f"{name} [{', '.join(map(_words, np.ravel(value)))}]".encode())
    return content.hexdigest()


def _words(part: Any) -> str:
    """A part of an attribute as numpy 2 prints it in a list, under every numpy."""
    return f"np.str_({str(part)!r})" if isinstance(part, str) else repr(float(part))


def sum_of_weights(tensors: Mapping[str, Any], metadata: str) -> str:
    """A hash of names, types, shapes and numbers of torch's tensors, and of their metadata."""
    import torch

    content = sha256(metadata.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content.update(tensor.view(-1).view(torch.uint8).numpy().tobytes())
    return content.hexdigest()
