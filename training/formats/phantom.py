"""A generated imaging cohort with known truth: no files needed, and the one the demo uses.

Patients have several dermatoscopy-like images. Content is the lesion and its form; style is
sex, age, skin tone and scanner, each with a visible effect of known size.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import tomli_w
from PIL import Image

from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path
from training.cohort import Cohort, CohortSchema, fingerprint_of
from training.format import Format
from training.imaging import InputContract, Pixels, prepare
from training.manifest import table_of
from training.phantom.dermatoscopy import draw
from training.phantom.patients import PhantomSettings, generate_patients, recorded


class Phantom(Format):
    """The generated cohort."""

    settings_type: ClassVar[type[PhantomSettings]] = PhantomSettings
    settings: PhantomSettings

    def read(self, schema: CohortSchema, root: Path) -> Cohort:
        """Generate the manifest; images are drawn when they are asked for.

        The columns of the manifest are image_id, patient, lesion (absent or present), form
        (none, smooth or irregular), sex, age, skin_tone and scanner. No file is read, so
        ``root`` does not matter.

        Raises:
            InputError: The schema names other columns or values, or a class has no sample.
        """
        truth, scenes = generate_patients(self.settings)
        manifest = recorded(truth)
        table = table_of(schema, manifest, "phantom", manifest["image_id"] + ".png")
        scene_of = dict(zip(manifest["image_id"] + ".png", scenes, strict=True))
        size = self.settings.size

        def load(image: str, contract: InputContract) -> Pixels:
            return prepare(Image.fromarray(draw(scene_of[image], size)), contract)

        # some pixels, so that a change in the drawing makes another cohort
        drawn = b"".join(draw(scene, size).tobytes() for scene in scenes[:3])
        source = [self.settings.model_dump_json(), sha256(drawn).hexdigest()]
        return Cohort(schema, table, load, fingerprint_of(table, source))


def write_phantom(
    schema: CohortSchema, folder: Path, on_progress: Callable[[int, int], None] | None = None
) -> None:
    """Write the cohort as files.

    They are ``images/``, ``manifest.csv``, ``truth.csv``, ``phantom.toml`` with every setting,
    and ``cohort.toml``. The last uses the format ``images``; read with this folder as its root
    it gives the same table and the same pixels. All are made in a folder beside it that is
    renamed at the end.

    Args:
        schema: A cohort of the format ``phantom``.
        folder: Where to. It must not exist, or be empty.
        on_progress: Called with the number of images written and of all images.

    Raises:
        InputError: The folder holds something, or the schema is not that of a phantom.
    """
    if schema.format != "phantom":
        fault = Fault(
            f"cohort {schema.name}", f"its format is {schema.format}", "Use a phantom."
        )
        raise InputError(fault)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            Fault(str(folder), "it exists and is not empty", "Choose another folder.")
        )
    settings = PhantomSettings.parse(schema.source, f"cohort {schema.name}, source")
    truth, scenes = generate_patients(settings)
    table_of(
        schema, recorded(truth), "phantom", truth["image_id"]
    )  # what is written can be read
    with atomic_path(folder) as begun:
        (begun / "images").mkdir(parents=True)
        for done, (name, scene) in enumerate(
            zip(truth["image_id"], scenes, strict=True), start=1
        ):
            image = Image.fromarray(draw(scene, settings.size))
            image.save(begun / "images" / f"{name}.png", compress_level=1)
            if on_progress:
                on_progress(done, len(scenes))
        recorded(truth).to_csv(begun / "manifest.csv", index=False)
        truth.to_csv(begun / "truth.csv", index=False)
        made = _dumped(schema, source=settings.model_dump(mode="json", exclude_none=True))
        (begun / "phantom.toml").write_text(made, encoding="utf-8")
        source = {"manifest": "manifest.csv", "images": "images", "pattern": "{image_id}.png"}
        moved = _dumped(schema, format="images", root="", source=source)
        (begun / "cohort.toml").write_text(moved, encoding="utf-8")


def _dumped(schema: CohortSchema, **changes: Any) -> str:
    changed = schema.model_copy(update=changes)
    return tomli_w.dumps(changed.model_dump(mode="json", exclude_defaults=True))
