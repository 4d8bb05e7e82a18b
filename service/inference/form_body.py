"""Images in a form, ``multipart/form-data``."""

from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from evaluation.errors import Fault, InputError
from service.inference.names import shown
from service.inference.refusals import too_many
from service.protocol.errors import LISTED

#: Most bytes of the names of a part of a form.
LONGEST_HEADER: Final = 4096


def read_form(content_type: str, body: bytes, most: int) -> dict[str, list[tuple[str, bytes]]]:
    """Name and content of each file, by the part it came in.

    Raises:
        HTTPException: 400, it is no such form.
        InputError: Some part is not a file, or there are too many.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary or len(boundary) > 70:
        raise HTTPException(400, "The Content-Type of the body names no boundary of its parts.")
    form = _Form(most)
    try:
        parser = MultipartParser(boundary, form.callbacks(), max_header_size=LONGEST_HEADER)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise HTTPException(400, f"The body is no form: {error}") from None
    if not form.ended:
        raise HTTPException(400, "The body ends before the last boundary of its parts.")
    if form.faults:
        raise InputError(*form.faults)
    return form.parts


class _Form:
    """Takes the parts of a form as the parser finds them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.parts: dict[str, list[tuple[str, bytes]]] = {}
        self.faults: list[Fault] = []
        self.ended = False
        self._begin()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._add,
            "on_part_end": self._finish,
            "on_header_field": self._name,
            "on_header_value": self._value,
            "on_header_end": self._header,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._data: list[bytes] = []
        self._disposition = self._field = self._text = b""

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._text += data[start:end]

    def _header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._text
        self._field = self._text = b""

    def _add(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _finish(self) -> None:
        # As bytes: what the library makes of text is Latin-1, and names are UTF-8.
        options = parse_options_header(self._disposition)[1]
        field = options.get(b"name", b"").decode("latin-1")
        if b"filename" not in options:
            found = f"the part '{field[:80]}' is not a file"
            self.faults.append(Fault("body", found, "Send files.", column=field[:80]))
            if len(self.faults) == LISTED:
                raise InputError(*self.faults)
            return
        files = self.parts.setdefault(field, [])
        name = shown(options[b"filename"]) or f"image {len(files) + 1}"
        files.append((name, b"".join(self._data)))
        if (count := sum(map(len, self.parts.values()))) > self.most:
            raise InputError(too_many(count, self.most))

    def _end(self) -> None:
        self.ended = True
