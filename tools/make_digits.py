"""Write ``zoo/data/digits.npz``, the source of the embedded dataset, from scikit-learn's copy.

    python tools/make_digits.py

The images are those of the UCI "Optical Recognition of Handwritten Digits" test set, 8x8 pixels
of 0..16, in their original order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TARGET = Path(__file__).parent.parent / "zoo" / "data" / "digits.npz"


def main() -> None:
    """Write the compressed arrays, ``images`` uint8 [1797, 8, 8] and ``labels`` uint8 [1797]."""
    digits = load_digits()
    np.savez_compressed(
        TARGET, images=digits.images.astype(np.uint8), labels=digits.target.astype(np.uint8)
    )
    print(f"{TARGET}: {len(digits.target)} images, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
