"""Ready-made data sets as zips of label folders, and the commands that move data sets about.

Rules of this file:
- A zip made here has the same bytes on every run: sorted names, a fixed date, no compression of what is compressed.
- It talks to a running system by HTTP only.
"""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mlitb import pixels

ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
HELD_BACK = 5  # every fifth picture of a label is for testing


def digits_zip(path: Path) -> Path:
    """Write scikit-learn's 1,797 handwritten digits as a zip of train/ and test/ label folders; return the path.

    8 x 8 grey PNG, 1,437 to train and 360 to test. Raises RuntimeError when scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]
    except ImportError as error:
        raise RuntimeError("the digits come with scikit-learn: pip install 'mlitb[demo]'") from error
    digits = load_digits()
    order = np.argsort(digits.target, kind="stable")
    images = np.rint(digits.images[order] * (255 / 16)).astype(np.uint8)[..., None]
    write_zip(path, _numbered(images, digits.target[order]))
    return path


def write_zip(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write files, given as (name, bytes), as a zip whose bytes depend on nothing else."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), data)


def _numbered(images: pixels.Pixels, labels: Iterable[int]) -> Iterable[tuple[str, bytes]]:
    counts: dict[int, int] = {}
    for position, (image, label) in enumerate(zip(images, labels, strict=True)):
        counts[label] = counts.get(label, 0) + 1
        split = "test" if position % HELD_BACK == 0 else "train"
        yield f"{split}/{label}/{counts[label]:04}.png", pixels.encode_png(image)
