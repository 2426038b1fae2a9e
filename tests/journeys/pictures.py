"""Pictures of what people see, for the documentation.

PICTURES=docs/images keeps them there, in a folder for each place where people work.
"""

import io
import os
from pathlib import Path

from PIL import Image

FOLDER = os.environ.get("PICTURES")
COLOURS = 128
"""Enough for pages, which are text and a few plain areas."""


def keep(image: bytes, name: str) -> None:
    """Keep a picture, as small as it can be.

    Args:
        image: A PNG.
        name: Its place in the folder of pictures, without ending.
    """
    if FOLDER:
        path = Path(FOLDER) / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        few = (
            Image.open(io.BytesIO(image)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        )
        few.save(path, optimize=True)
