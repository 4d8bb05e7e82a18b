"""Images to ask servers about."""

import base64
import json
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from training.imaging import Pixels, decode
from training.predictor import LARGEST_BATCH, Predictor


def images(contract_size: int, channels: int) -> list[bytes]:
    """Different PNG files, twice as large as the model takes."""
    generator, files = np.random.default_rng(0), []
    for _ in range(LARGEST_BATCH):
        coarse = generator.integers(0, 256, (9, 9, 3), np.uint8)
        side = 2 * contract_size
        image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        file = BytesIO()
        (image if channels == 3 else image.convert("L")).save(file, "PNG")
        files.append(file.getvalue())
    return files


def as_json(files: Sequence[bytes]) -> bytes:
    """A body that both servers take."""
    said = [{"name": "a.png", "data": base64.b64encode(each).decode()} for each in files]
    return json.dumps({"images": said}).encode()


def pixels_of(data: bytes, predictor: Predictor) -> Pixels:
    """As the model takes it."""
    return decode(data, predictor.contract, "image")
