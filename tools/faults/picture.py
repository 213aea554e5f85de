"""Write a picture of a digit: ``python -m tools.faults.picture FILE.png``."""

from __future__ import annotations

import sys

from PIL import Image

from zoo import data

if __name__ == "__main__":
    digits = data.load("digits")
    Image.fromarray(digits.test.images[0, :, :, 0]).save(sys.argv[1])
