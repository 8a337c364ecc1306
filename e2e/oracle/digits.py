"""Reads the files of examples/digits for the two checks that use them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"
TOLERANCE = 1e-5
LEAST_RIGHT = 97


@dataclass(frozen=True)
class Golden:
    """`rows` is float32 [n, 10]."""

    signature: str
    output: str
    rows: np.ndarray


def read_golden(path: Path) -> Golden:
    golden = json.loads(path.read_text())
    rows = np.array(golden["probabilities"], np.float32)
    return Golden(golden["signature"], golden["output"], rows)


def read_images(folder: Path) -> np.ndarray:
    """float32 [n, 8, 8, 1]: each 8-bit grey divided by 255, in the order of the file names."""
    paths = sorted(folder.glob("*.png"))
    grey = np.stack([np.asarray(Image.open(path)) for path in paths])
    assert grey.dtype == np.uint8 and grey.shape[1:] == (8, 8), grey.shape
    return (grey.astype(np.float32) / np.float32(255))[..., np.newaxis]


def read_labels(path: Path) -> np.ndarray:
    return np.array(json.loads(path.read_text()))


def largest_difference(expected: np.ndarray, got: np.ndarray) -> float:
    """Infinite when shapes or types differ, or a number is missing."""
    if expected.shape != got.shape or expected.dtype != got.dtype or not np.isfinite(got).all():
        return float("inf")
    return float(np.max(np.abs(expected - got)))
