"""Answers in the form that a request accepts: JSON, a numpy array, or an Arrow stream."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson
from fastapi import HTTPException, Request, Response
from numpy.typing import NDArray

from service.inference.batcher import Rows
from service.inference.media import ARROW, JSON, NPY
from service.inference.runtime import LoadedModel

#: What answers may be, the one without a wish first.
OFFERED: Final = (JSON, NPY, ARROW)


def accepted(request: Request, offered: Sequence[str] = OFFERED) -> str:
    """The form of the answer that a request wants most, of those that there are.

    Args:
        request: With an ``Accept`` header, or without any wish.
        offered: Media types, the most usual first.

    Raises:
        HTTPException: 406, it accepts none of them.
    """
    wish = request.headers.get("accept", "*/*")
    if wish in ("*/*", offered[0]):
        return offered[0]
    chosen = best(wish, offered)
    if chosen is None:
        raise HTTPException(406, f"The answer can be {', '.join(offered)}; accept one of them.")
    return chosen


def best(wish: str, offered: Sequence[str]) -> str | None:
    """The media type with the highest weight (RFC 9110, 12.5.1); of equal ones the first.

    >>> best("application/json;q=0.5, application/x-npy", OFFERED)
    'application/x-npy'
    >>> best("text/html", OFFERED) is None
    True
    """
    ranges = [_range(each) for each in wish.lower().split(",")]

    def weight(kind: str) -> float:
        forms = (kind, f"{kind.partition('/')[0]}/*", "*/*")
        # the most specific range counts, also if it forbids
        found = (q for form in forms for name, q in ranges if name == form)
        return next(found, 0.0)

    chosen = max(offered, key=weight)
    return chosen if weight(chosen) > 0 else None


def _range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in text.split(";"))
    weights = [each[2:] for each in parameters if each.startswith("q=")]
    try:
        weight = float(weights[0]) if weights else 1.0
    except ValueError:
        weight = 0.0
    return name, weight if 0 <= weight <= 1 else 0.0


def json_answer(content: Any) -> Response:
    """JSON, arrays of numpy included. What is not finite becomes null."""
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), media_type=JSON)


def npy_answer(model: LoadedModel, values: NDArray[Any]) -> Response:
    """One array, rows in the order of the images; headers say whose it is."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(values), allow_pickle=False)
    return Response(file.getvalue(), media_type=NPY, headers=headers(model))


def arrow_answer(
    model: LoadedModel, columns: Mapping[str, Any], about: Mapping[str, Any] | None = None
) -> Response:
    """A table, rows in the order of the images; its schema's metadata say whose it is.

    Args:
        model: That answered.
        columns: Of the table.
        about: What is to be said of all rows. It becomes metadata, as JSON.
    """
    from service.inference.arrow import write_arrow  # 60 MB that most services do without

    said = {"model": used(model), "threshold": model.threshold, **(about or {})}
    metadata = {name: orjson.dumps(value) for name, value in said.items()}
    return Response(write_arrow(columns, metadata), media_type=ARROW, headers=headers(model))


def headers(model: LoadedModel) -> dict[str, str]:
    """What an answer that is numbers only cannot say in its body."""
    said = {"Evenscan-Model-Version": str(model.version.id)}
    if model.threshold is not None:
        said["Evenscan-Threshold"] = repr(model.threshold)
    return said


def used(model: LoadedModel) -> dict[str, Any]:
    """The model that answered, see :class:`UsedModel`."""
    version = model.version
    return {"version": version.id, "run": version.run, "method": version.method}


def rounded(values: Iterable[float]) -> list[float]:
    """Shares with as many digits as they mean."""
    return [round(float(each), 4) for each in values]


def codes(rows: Rows, part: str) -> NDArray[np.float32]:
    """Content, style, or both side by side, ``[n, code]``."""
    both = [
        rows[name] for name in ("content", "style") if part in (name, "both") and name in rows
    ]
    return both[0] if len(both) == 1 else np.concatenate(both, axis=1)
