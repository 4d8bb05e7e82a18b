"""Generates the patients of the phantom cohort: who they are and what their images show."""

from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from evaluation.errors import unknown_name
from evaluation.settings import Settings
from training.phantom.camera import Device
from training.phantom.dermatoscopy import Form, Scene

Rate = Annotated[float, Field(ge=0, le=1)]

#: The attributes and their categories, in the order that a correlation follows. The bands of
#: age are drawn first, then a year within the band.
CATEGORIES: dict[str, tuple[str, ...]] = {
    "sex": ("female", "male"),
    "age": ("20-<40", "40-<60", "60-<85"),
    "skin_tone": ("I-II", "III-IV", "V-VI"),
    "scanner": ("A", "B", "C", "D"),
}
AGES = {"20-<40": (20, 40), "40-<60": (40, 60), "60-<85": (60, 85)}

#: A sharp polarised camera, a warm one with a ruler, a cold one with a round field, a soft one.
DEVICES = {
    "A": Device(cast=(0, 0, 0), vignette=0.05, blur=0.0, contrast=1.05, marker="none"),
    "B": Device(cast=(12, 2, -16), vignette=0.30, blur=0.5, contrast=1.0, marker="ruler"),
    "C": Device(cast=(-12, 0, 14), vignette=0.15, blur=0.0, contrast=1.0, marker="field"),
    "D": Device(cast=(8, -8, 8), vignette=0.10, blur=1.3, contrast=0.85, marker="corner"),
}


class Effects(Settings):
    """How strongly each attribute shows in the pixels.

    Densities are natural logarithms of the green light absorbed.

    Attributes:
        sex: How many more hairs a male has than a female on average; a female has 3.
        age: Density that the skin lines, and a yellow over all the skin (in blue), gain in each
            decade after 20 years. Above 0, a patient also gains one age spot a decade.
        skin_tone: Density between neighbouring categories. Patients of one category differ
            among themselves by a standard deviation of 0.06.
        scanner: Multiple of the devices' differences: at 1 their colour casts differ by up to
            30 grey levels, their blur by up to 1.3 of 96 pixels; each leaves its own marker. At
            0 all are alike.
    """

    sex: float = Field(default=14, ge=0, le=60)
    age: float = Field(default=0.02, ge=0, le=0.2)
    skin_tone: float = Field(default=0.4, ge=0, le=0.6)
    scanner: float = Field(default=1, ge=0, le=2)


class PhantomSettings(Settings):
    """What to generate.

    Attributes:
        patients: Number of patients. The first patients of a larger cohort are those of a
            smaller one.
        images: Mean number of images a patient, at least 1: one plus a Poisson number.
        prevalence: Probability that a patient has a lesion.
        contrast: Median density of a lesion at its centre; smaller is harder. Patients vary
            around it by a factor of 1.5 (one standard deviation).
        correlated: Attribute that is correlated with the lesion, or none.
        strength: P(upper half of the categories | lesion) - P(upper half | no lesion). Each
            patient takes, with this probability, a category from the half that belongs to the
            lesion (the upper) or to no lesion (the lower), else any; the middle of three
            belongs to neither. With an even number of categories and a prevalence of 0.5 it is
            the phi coefficient. Exact in expectation.
        label_noise: Probability that the recorded lesion of a patient is wrong.
        missing: Attribute to the probability that it is not recorded, for each patient.
        scanner_of: Whether a patient has one scanner or each image its own.
        size: Height and width in pixels.
        seed: Everything is a function of it.
        effects: How strongly each attribute shows.
    """

    patients: int = Field(default=200, ge=2, le=100_000)
    images: float = Field(default=3, ge=1, le=50)
    prevalence: float = Field(default=0.5, gt=0, lt=1)
    contrast: float = Field(default=0.3, ge=0, le=2)
    correlated: str | None = None
    strength: Rate = 0
    label_noise: Rate = 0
    missing: dict[str, Rate] = Field(default_factory=dict)
    scanner_of: Literal["patient", "image"] = "patient"
    size: int = Field(default=96, ge=16, le=512)
    seed: int = Field(default=0, ge=0)
    effects: Effects = Effects()

    @field_validator("correlated", "missing")
    @classmethod
    def _known(cls, value: Any) -> Any:
        for name in [value] if isinstance(value, str) else value or ():
            if name not in CATEGORIES:
                raise ValueError(
                    str(unknown_name("attribute", name, CATEGORIES, "phantom"))[:-1]
                )
        return value

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.strength and self.correlated is None:
            raise ValueError("strength needs 'correlated', the attribute it is about")
        return self


def generate_patients(settings: PhantomSettings) -> tuple[pd.DataFrame, list[Scene]]:
    """The truth, one row an image, and what each image shows.

    Returns:
        The table holds what is true (``true_lesion``, ``true_form``, the four attributes), what
        is recorded (``recorded_…``, empty where missing) and the size of every effect in the
        image: densities in natural logarithms of green, lengths in pixels, colours in grey
            levels.
    """
    rows, scenes = [], []
    for number in range(settings.patients):
        patient = _patient(settings, number)
        rng = np.random.default_rng([settings.seed, number, 1])
        for image in range(1 + int(rng.poisson(settings.images - 1))):
            row = patient | {"image_id": f"P{number:05d}-{image}"}
            if settings.scanner_of == "image":
                own = np.random.default_rng([settings.seed, number, 2, image])
                row["scanner"] = _category(settings, "scanner", row["true_lesion"], own)
            scene = _scene(settings, row, number, image)
            scenes.append(scene)
            rows.append(row | _sizes(scene, settings))
    truth = pd.DataFrame(rows).drop(columns=["_skin", "_radius", "_lesion"])
    for name in CATEGORIES:
        hidden = truth.pop(f"_hidden_{name}").to_numpy(bool)
        truth[f"recorded_{name}"] = truth[name].astype(str).where(~hidden, "")
    return truth.set_index("image_id", drop=False).rename_axis(None), scenes


def recorded(truth: pd.DataFrame) -> pd.DataFrame:
    """The manifest of the cohort, as text: what a hospital would have on file."""
    names = {"image_id": "image_id", "patient": "patient"}
    names |= {f"recorded_{name}": name for name in ("lesion", "form", *CATEGORIES)}
    return truth[list(names)].rename(columns=names).astype(str).reset_index(drop=True)


def shares(settings: PhantomSettings, attribute: str, lesion: bool) -> list[float]:
    """Probability of each category of an attribute, given whether there is a lesion.

    >>> shares(PhantomSettings(correlated="scanner", strength=0.8), "scanner", lesion=True)
    [0.05, 0.05, 0.45, 0.45]
    """
    n = len(CATEGORIES[attribute])
    strength = settings.strength if attribute == settings.correlated else 0.0
    half = n // 2
    own = range(n - half, n) if lesion else range(half)
    return [round((1 - strength) / n + strength / half * (i in own), 12) for i in range(n)]


def _category(
    settings: PhantomSettings, attribute: str, lesion: bool, rng: np.random.Generator
) -> str:
    names = CATEGORIES[attribute]
    bounds = np.cumsum(shares(settings, attribute, lesion))
    return names[min(int(np.searchsorted(bounds, rng.random(), side="right")), len(names) - 1)]


def _patient(settings: PhantomSettings, number: int) -> dict[str, Any]:
    """What is drawn once a patient, always in the same order, so settings never shift it."""
    rng = np.random.default_rng([settings.seed, number, 0])
    lesion = bool(rng.random() < settings.prevalence)
    form, other = rng.choice(get_args(Form)[1:], 2)
    wrong = rng.random() < settings.label_noise
    row: dict[str, Any] = {
        "patient": f"P{number:05d}",
        "true_lesion": lesion,
        "true_form": str(form) if lesion else "none",
        "recorded_lesion": "present" if lesion != wrong else "absent",
    }
    seen = row["true_form"] if lesion else str(other)
    row["recorded_form"] = seen if lesion != wrong else "none"
    for name in CATEGORIES:
        row[name] = _category(settings, name, lesion, rng)
        row[f"_hidden_{name}"] = bool(rng.random() < settings.missing.get(name, 0))
    low, high = AGES[row["age"]]
    row["age"] = int(rng.integers(low, high))
    row["_skin"], row["_radius"] = float(rng.normal(0, 0.06)), float(rng.uniform(0.24, 0.5))
    row["_lesion"] = float(np.exp(rng.normal(0, np.log(1.5))))
    return row


def _scene(settings: PhantomSettings, row: dict[str, Any], number: int, image: int) -> Scene:
    effects = settings.effects
    rng = np.random.default_rng([settings.seed, number, 3, image])
    decades = (row["age"] - 20) / 10
    tone = CATEGORIES["skin_tone"].index(row["skin_tone"])
    seed = (settings.seed, number)
    return Scene(
        patient_seed=(*seed, 4),
        image_seed=(*seed, 5, image),
        melanin=max(0.03, 0.5 + (tone - 1) * effects.skin_tone + row["_skin"]),
        wrinkle=0.01 + effects.age * decades,
        yellow=effects.age * decades,
        spots=int(rng.poisson(1.5 + (decades if effects.age else 0))),
        hairs=int(rng.poisson(3 + (effects.sex if row["sex"] == "male" else 0))),
        form=row["true_form"],
        lesion=settings.contrast * row["_lesion"] if row["true_lesion"] else 0.0,
        radius=row["_radius"] * float(rng.uniform(0.88, 1.12)),
        x=float(rng.uniform(-0.45, 0.45)),
        y=float(rng.uniform(-0.45, 0.45)),
        turn=float(rng.uniform(0, 2 * np.pi)),
        exposure=float(rng.normal(1, 0.04)),
        device=_scaled(DEVICES[row["scanner"]], effects.scanner),
    )


def _scaled(device: Device, effect: float) -> Device:
    red, green, blue = device.cast
    return Device(
        cast=(effect * red, effect * green, effect * blue),
        vignette=min(0.9, effect * device.vignette),
        blur=effect * device.blur,
        contrast=1 + effect * (device.contrast - 1),
        marker=device.marker if effect else "none",
    )


def _sizes(scene: Scene, settings: PhantomSettings) -> dict[str, Any]:
    """The effects in one image, in the units of the column's name."""
    half, device = settings.size / 2, scene.device
    visible = scene.form != "none"
    return {
        "skin_density": scene.melanin,
        "wrinkle_density": scene.wrinkle,
        "yellow_density": scene.yellow,
        "spots": scene.spots,
        "hairs": scene.hairs,
        "lesion_density": scene.lesion,
        "lesion_radius_px": scene.radius * half if visible else np.nan,
        "lesion_x_px": (1 + scene.x) * half if visible else np.nan,
        "lesion_y_px": (1 + scene.y) * half if visible else np.nan,
        "exposure_factor": scene.exposure,
        **dict(
            zip(
                ("cast_red_grey", "cast_green_grey", "cast_blue_grey"), device.cast, strict=True
            )
        ),
        "vignette_share": device.vignette,
        "blur_px": device.blur * settings.size / 96,
        "contrast_factor": device.contrast,
        "marker": device.marker,
    }
