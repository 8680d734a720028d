"""The IDX format of MNIST and Fashion-MNIST: one array of bytes, its shape ahead of it, mostly gzipped.

Source: "The IDX file format" in LeCun, Cortes and Burges, The MNIST database of handwritten digits.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

UNSIGNED_BYTES = 0x08
MOST_BYTES = 2**31


class BadIdxFile(ValueError):
    """A file that is missing or not what it should be: which file, what was found, what was expected."""


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes, gzipped or plain. Raises BadIdxFile."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise BadIdxFile(f"{path}: cannot be read: {error}") from error
    if len(data) < 4 or data[:2] != b"\x00\x00":
        raise BadIdxFile(
            f"{path}: starts with {data[:4].hex(' ') or 'nothing'}; an IDX file starts with 00 00"
        )
    kind, dimensions = data[2], data[3]
    if kind != UNSIGNED_BYTES:
        raise BadIdxFile(f"{path}: holds values of type {kind:#04x}; expected unsigned bytes, 0x08")
    start = 4 + 4 * dimensions
    if not 1 <= dimensions <= 4 or len(data) < start:
        raise BadIdxFile(
            f"{path}: {dimensions} dimensions in {len(data)} bytes; expected 1 to 4 and their sizes"
        )
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i]) for i in range(dimensions))
    expected = math.prod(shape)
    if expected > MOST_BYTES or len(data) - start != expected:
        times = " x ".join(map(str, shape))
        raise BadIdxFile(
            f"{path}: holds {len(data) - start} bytes of values; its header says {times} = {expected}: cut short?"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def read_labelled_images(folder: Path, part: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images, shape (count, rows, columns), and labels, shape (count,), of part "train" or "t10k".

    Finds `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, with a dot for the last dash, with .gz or
    without. Raises BadIdxFile.
    """
    images = read_idx(find(folder, f"{part}-images", 3))
    labels = read_idx(find(folder, f"{part}-labels", 1))
    if images.ndim != 3 or labels.ndim != 1:
        raise BadIdxFile(
            f"{folder}: images of {images.ndim} and labels of {labels.ndim} dimensions; expected 3, 1"
        )
    if len(images) != len(labels) or len(images) == 0:
        raise BadIdxFile(
            f"{folder}: {len(images)} {part} images but {len(labels)} labels; expected as many, not 0"
        )
    return images, labels


def find(folder: Path, stem: str, dimensions: int) -> Path:
    names = [f"{stem}{dash}idx{dimensions}-ubyte{packed}" for dash in "-." for packed in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    if not folder.is_dir():
        raise BadIdxFile(f"{folder}: there is no such folder")
    raise BadIdxFile(f"{folder}: holds none of {', '.join(names)}")
