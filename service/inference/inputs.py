"""Images that come with a request, in each of the forms they may have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException

from service.inference.array_body import read_npy
from service.inference.form_body import read_form
from service.inference.json_body import read_json
from service.inference.media import ARROW, JSON, MULTIPART, NPY, RAW
from service.inference.names import PARTS, shown
from training.imaging import InputContract, Pixels


@dataclass(frozen=True)
class Given:
    """What a request brings.

    Attributes:
        parts: Name and content of each file, by the part or field they came in.
        pixels: ``[batch, channel, *space]`` uint8, of a numpy body; then there are no files.
    """

    parts: Mapping[str, list[tuple[str, bytes]]]
    pixels: Pixels | None = None

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """Place and content of each file, those of the part ``images`` first.

        Errors call it by its place: its name may be that of a patient, and errors are logged by
        whoever gets them.
        """
        return [
            (f"{part.removesuffix('s')} {row}", data)
            for part in PARTS
            for row, (_, data) in enumerate(self.parts.get(part, ()), start=1)
        ]

    @property
    def names(self) -> list[str]:
        """Name of each image that is asked about, as its sender calls it."""
        if self.pixels is not None:
            return [f"image {row}" for row in range(1, len(self.pixels) + 1)]
        return [name for name, _ in self.parts.get("images", ())]

    @property
    def count(self) -> int:
        """Number of images, of all parts."""
        if self.pixels is not None:
            return len(self.pixels)
        return sum(len(self.parts.get(part, ())) for part in PARTS)


def read_images(content_type: str, body: bytes, contract: InputContract, most: int) -> Given:
    """The images of a body.

    Args:
        content_type: The header: ``multipart/form-data`` with parts ``images``; the type of a
            single image; ``application/x-npy``, an array ``[batch, channel, side, side]`` or
            ``[batch, side, side(, channel)]`` of uint8, or of float32 in [0, 1];
            ``application/json``, ``{"images": [{"name", "data": base64}]}``; or
            ``application/vnd.apache.arrow.stream`` with columns ``name`` and ``image``.
        body: All of it.
        contract: What the model takes; the shape of an array must be exactly its.
        most: Images that it may have; of more, not one is looked at.

    Raises:
        HTTPException: 400, the body is not what the header says; 415, it is of another type.
        InputError: What is in it does not fit.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in RAW:
        return Given({"images": [("image 1", body)]})
    reader = _READERS.get(kind)
    if reader is None:
        taken = ", ".join([*_READERS, NPY, *RAW])
        if kind != NPY:
            detail = f"The body is {kind[:80] or 'of no declared type'}. Send one of {taken}."
            raise HTTPException(415, detail)
        return Given({}, read_npy(body, contract))
    return Given(reader(content_type, body, most))


def _arrow(content_type: str, body: bytes, most: int) -> dict[str, list[tuple[str, bytes]]]:
    from service.inference.arrow import read_arrow  # 60 MB that most services do without

    return {"images": [(shown(name.encode()), data) for name, data in read_arrow(body, most)]}


_READERS: Final[dict[str, Callable[[str, bytes, int], dict[str, list[tuple[str, bytes]]]]]] = {
    MULTIPART: read_form,
    JSON: read_json,
    ARROW: _arrow,
}
