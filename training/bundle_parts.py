"""What the configuration of a MONAI bundle names: our reader of images, and the ONNX file."""

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform
from torch import Tensor, nn

from training.imaging import decode
from training.predictor import ModelContract


class ReadImage(MapTransform):
    """Puts pixels in the place of file names, as training and serving read them.

    MONAI's own readers transpose images and know nothing of the contract of a model.
    """

    def __init__(self, keys: str | list[str], contract: str) -> None:
        """Read the contract.

        Args:
            keys: Of the entries with file names.
            contract: File ``contract.json`` of the bundle.
        """
        super().__init__(keys)
        saved = json.loads(Path(contract).read_text(encoding="utf-8"))
        self.contract = ModelContract.parse(saved, contract).input

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read the files of one entry.

        Returns:
            The entry with ``[channel, *space]`` float32 in [0, 1] for each key, which remember
            the name of their file.

        Raises:
            InputError: A file is no image that the model takes.
        """
        read = dict(data)
        for key in self.key_iterator(read):
            path = Path(read[key])
            pixels = torch.from_numpy(decode(path.read_bytes(), self.contract, path.name))
            image = pixels.to(torch.float32) / 255
            read[key] = MetaTensor(image, meta={"filename_or_obj": str(path)})
        return read


class OnnxNetwork(nn.Module):
    """An ONNX file as a network for inference. It has no parameters, and no gradient."""

    def __init__(self, path: str) -> None:
        """Load the file.

        Args:
            path: File ``model.onnx`` of the bundle.
        """
        super().__init__()
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def forward(self, image: Tensor) -> Tensor:
        """Probabilities of images.

        Args:
            image: ``[batch, channel, *space]`` float32 in [0, 1], batch >= 1, on any device.

        Returns:
            ``[batch, class]`` float32 on the CPU, rows sum to 1.
        """
        given = {"image": torch.as_tensor(image).cpu().numpy()}
        (probability,) = self.session.run(["probability"], given)
        return torch.from_numpy(probability)


def image_files(folder: str) -> list[dict[str, str]]:
    """Entries for a MONAI dataset: one for each file below a folder, sorted.

    Hidden files are left out. Other files have to be images: one that is not ends the run.
    """
    found = sorted(path for path in Path(folder).rglob("[!.]*") if path.is_file())
    return [{"image": str(path)} for path in found]
