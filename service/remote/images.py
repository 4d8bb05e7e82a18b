"""Commands that ask a model about images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from service.remote.asked import asked

#: Images in one request.
AT_ONCE: Final = 32

Images = Annotated[list[Path], typer.Argument(help="Image files.")]
Model = Annotated[str, typer.Option(help="Alias or number of the version.")]


def predict(images: Images, model: Model = "champion") -> None:
    """Predict images: a line of JSON each."""
    with asked() as client:
        for some in _batches(images):
            for said in client.predictions(some, model).predictions:
                typer.echo(said.model_dump_json())


def embed(images: Images, model: Model = "champion") -> None:
    """Embed images: a line of JSON each."""
    with asked() as client:
        for some in _batches(images):
            for said in client.embeddings(some, model).embeddings:
                typer.echo(said.model_dump_json())


def _batches(images: list[Path]) -> Iterator[list[Path]]:
    """As many images as go into one request, once all of them can be sent.

    Raises:
        InputError: Some are not there, or are empty.
    """
    from service.client.form import check_form

    check_form({}, [("images", image) for image in images])
    for start in range(0, len(images), AT_ONCE):
        yield images[start : start + AT_ONCE]
