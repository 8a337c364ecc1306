"""What one recorded case is: a small graph, and the inputs it is run with."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

Run = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class OpCase:
    """`build` gets the placeholders in the order of `specs` and returns one tensor or a list.

    `specs` gives name -> (shape with None for unknown, dtype); each run feeds every name.
    """

    name: str
    build: Callable[..., tf.Tensor | Sequence[tf.Tensor]]
    specs: Mapping[str, tuple[Sequence[int | None] | None, tf.DType]]
    runs: Sequence[Run]


def numbers(name: str, shape: Sequence[int], low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """float32 with two decimals, the same on every machine; `name` seeds it."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    return np.round(random.uniform(low, high, shape), 2).astype(np.float32)


def op(name: str, *tensors: object, **attributes: object) -> tf.Tensor | Sequence[tf.Tensor]:
    """The raw operation `name`, with tensors bound to its first parameters in their order."""
    function = getattr(tf.raw_ops, name)
    parameters = list(inspect.signature(function).parameters)
    return function(**dict(zip(parameters, tensors)), **attributes)


def case(
    name: str,
    build: Callable[..., tf.Tensor | Sequence[tf.Tensor]],
    *values: np.ndarray | Sequence[np.ndarray],
    shapes: Sequence[Sequence[int | None] | None] | None = None,
) -> OpCase:
    """Inputs are named x, y, z, w. A list of arrays means one array for each run.

    Without `shapes` the first dimension of each input is unknown in the graph, if it has one.
    """
    names = "xyzw"[: len(values)]
    columns = [list(value) if isinstance(value, list) else [value] for value in values]
    specs = {}
    for index, column in enumerate(columns):
        first = column[0]
        shape = shapes[index] if shapes else [None, *first.shape[1:]][: first.ndim]
        specs[names[index]] = (shape, tf.as_dtype(first.dtype))
    runs = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return OpCase(name, build, specs, runs)
