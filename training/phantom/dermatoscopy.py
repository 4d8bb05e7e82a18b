"""Draws a dermatoscopy-like photograph of skin from numbers.

Light that the skin sends back falls off exponentially with pigment, so pigment is counted here
as optical density (natural logarithm, in the green channel): 0.1 darkens green by about 10 %.
Everything that is brown is one map of melanin, everything that is pink one map of blood.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.phantom.camera import Device, grid, photograph

Map = NDArray[np.float32]
Form = Literal["none", "smooth", "irregular"]

#: Colour of skin without pigment, and how much each unit of density takes from red, green,
#: blue.
PALE = np.array([247, 222, 208], np.float32)
MELANIN = np.array([0.66, 1.0, 1.24], np.float32)
BLOOD = np.array([0.12, 1.0, 0.78], np.float32)
YELLOW = np.array([0.0, 0.15, 1.0], np.float32)
ABSORPTION = np.stack([MELANIN, BLOOD], axis=1)
VEIL = np.array([92, 104, 132], np.float32)
HAIR = np.array([38, 27, 22], np.float32)
#: Hairs are drawn this much larger, then averaged.
OVERSAMPLING = 3


@dataclass(frozen=True)
class Scene:
    """Everything visible in one image. Lengths are in half image widths, densities in green.

    Attributes:
        patient_seed: Seeds what is the same in all images of the patient: shape, texture.
        image_seed: Seeds what changes from image to image.
        melanin: Density of the skin.
        wrinkle: Density of the skin lines.
        yellow: Density of the yellow that skin takes on with age, in blue.
        spots: Number of freckles and age spots.
        hairs: Number of hairs.
        form: Form of the lesion.
        lesion: Density at its centre.
        radius: Its mean radius.
        x: Where its centre is, rightwards from the middle.
        y: Where its centre is, downwards from the middle.
        turn: Rotation of the camera, radians.
        exposure: Factor on the light.
        device: The camera, with its effect already scaled.
    """

    patient_seed: tuple[int, ...]
    image_seed: tuple[int, ...]
    melanin: float
    wrinkle: float
    yellow: float
    spots: int
    hairs: int
    form: Form
    lesion: float
    radius: float
    x: float
    y: float
    turn: float
    exposure: float
    device: Device


def draw(scene: Scene, size: int) -> NDArray[np.uint8]:
    """The photograph.

    Args:
        scene: What to draw.
        size: Height and width in pixels.

    Returns:
        ``[size, size, 3]``, the same for the same scene.
    """
    patient = np.random.default_rng(scene.patient_seed)
    rng = np.random.default_rng(scene.image_seed)
    melanin, blood = _skin(scene, size, rng)
    lesion, veil = _lesion(scene, size, patient)
    pigments = np.stack([melanin + lesion, blood]).reshape(2, -1)
    colour = ABSORPTION @ pigments + np.float32(scene.yellow) * YELLOW[:, None]
    colour = np.exp(-colour, out=colour).reshape(3, size, size)
    colour *= PALE[:, None, None]
    for cover, ink in ((veil, VEIL), (_hairs(scene.hairs, size, rng), HAIR)):
        if cover is not None:
            colour += cover * (ink[:, None, None] - colour)
    return photograph(colour, scene.device, scene.exposure, rng)


@lru_cache(maxsize=64)
def _waves(size: int, finest: int, roughness: float) -> tuple[Map, Map]:
    """Cosines along one axis ``[size, finest]``, and the amplitude of each pair of them."""
    place = (np.arange(size)[:, None] + 0.5) / size
    order = np.arange(finest)
    amplitude = (1.0 + np.hypot(*np.meshgrid(order, order))) ** -roughness
    amplitude[0, 0] = 0
    amplitude *= 2 / np.sqrt((amplitude**2).sum())
    return np.cos(np.pi * place * order).astype(np.float32), amplitude.astype(np.float32)


def _cloud(rng: np.random.Generator, size: int, finest: int, roughness: float = 1.0) -> Map:
    """A smooth random map ``[size, size]`` with mean 0 and standard deviation near 1."""
    waves, amplitude = _waves(size, finest, roughness)
    weight = rng.standard_normal(amplitude.shape, np.float32) * amplitude
    cloud: Map = waves @ weight @ waves.T
    return cloud


def _blobs(size: int, x: Map, y: Map, radius: Map, height: Map) -> Map:
    """The sum of round bells, each given by its centre, radius and height ``[n]``."""
    line = grid(size)[0][0]
    across = np.exp(-(((line - x[:, None]) / radius[:, None]) ** 2))
    down = np.exp(-(((line - y[:, None]) / radius[:, None]) ** 2))
    bells: Map = (down * height[:, None]).T @ across
    return bells


def _lines(rng: np.random.Generator, size: int, bend: Map) -> Map:
    """Two families of wavy, nearly parallel skin lines, 0 to 1."""
    x, y = grid(size)
    angle = rng.uniform(0, np.pi)
    both = np.zeros((size, size), np.float32)
    for turn, strength in ((0.0, 1.0), (rng.uniform(0.9, 1.4), 0.6)):
        a = angle + turn
        along = np.float32(np.cos(a)) * x + np.float32(np.sin(a)) * y
        wave = np.sin(np.float32(rng.uniform(15, 20)) * along + 1.5 * bend)
        both += np.float32(strength) * np.square(np.square(wave))
    return both


def _skin(scene: Scene, size: int, rng: np.random.Generator) -> tuple[Map, Map]:
    bend = _cloud(rng, size, 5)
    melanin = np.float32(scene.melanin) * (1 + 0.07 * _cloud(rng, size, 10, 0.6))
    melanin += 0.05 * _cloud(rng, size, 3) + 0.018 * _cloud(rng, size, 40, 0.2)
    melanin += np.float32(scene.wrinkle) * _lines(rng, size, bend)
    n = scene.spots + 1
    radius = rng.uniform(0.04, 0.11, n).astype(np.float32)
    height = rng.uniform(0.06, 0.3, n).astype(np.float32)
    # the last one is not a freckle but a diffuse patch, as large as a lesion and without a
    # border
    radius[-1], height[-1] = rng.uniform(0.35, 0.8), abs(rng.normal(0, 0.22))
    x, y = rng.uniform(-1, 1, (2, n)).astype(np.float32)
    melanin += _blobs(size, x, y, radius, height)
    blood = 0.09 + 0.035 * bend + 0.02 * _cloud(rng, size, 9, 0.8)
    return melanin, np.maximum(blood, 0)


def _lesion(scene: Scene, size: int, rng: np.random.Generator) -> tuple[Map, Map | None]:
    """Melanin of the lesion, and the blue-white veil over it if it has one."""
    if scene.form == "none":
        return np.zeros((size, size), np.float32), None
    irregular = scene.form == "irregular"
    x, y = grid(size)
    cos, sin = np.float32(np.cos(scene.turn)), np.float32(np.sin(scene.turn))
    right, down = x - np.float32(scene.x), y - np.float32(scene.y)
    u, v = cos * right + sin * down, cos * down - sin * right
    stretch = np.float32(rng.uniform(1.0, 1.6 if irregular else 1.25))
    u, v = u * stretch, np.divide(v, stretch, dtype=np.float32)
    # the border as a radius for each of 256 directions
    order = np.arange(2, 9)
    jagged = (0.25 if irregular else 0.05) * rng.normal(size=7) / order**1.1 * 1.2
    direction = np.linspace(-np.pi, np.pi, 256)
    phase = rng.uniform(0, 2 * np.pi, 7)
    border = 1 + jagged @ np.cos(order[:, None] * direction + phase[:, None])
    border = (scene.radius * np.clip(border, 0.35, 1.8)).astype(np.float32)
    turned = (np.arctan2(v, u) + np.float32(np.pi)) * np.float32(255 / (2 * np.pi))
    place = turned.astype(np.int32)
    out = np.sqrt(u * u + v * v) / border[place]
    soft = np.float32(rng.uniform(0.07, 0.13) if irregular else rng.uniform(0.12, 0.2))
    inside = 1 / (1 + np.exp(np.clip((out - 1) / soft, -30, 30)))
    pigment = 1 + (0.40 if irregular else 0.12) * _cloud(rng, size, 7, 0.7)
    pigment += (0.34 if irregular else 0.15) * _network(u, v, size, rng)
    if irregular:
        n = int(rng.integers(2, 6))
        away = (scene.radius * rng.uniform(0.1, 0.9, n)).astype(np.float32)
        at = rng.uniform(0, 2 * np.pi, n)
        bx = (scene.x + away * np.cos(at + scene.turn)).astype(np.float32)
        by = (scene.y + away * np.sin(at + scene.turn)).astype(np.float32)
        wide = (scene.radius * rng.uniform(0.15, 0.45, n)).astype(np.float32)
        pigment += _blobs(size, bx, by, wide, rng.uniform(0.4, 1.3, n).astype(np.float32))
    melanin = np.float32(scene.lesion) * inside * np.maximum(pigment, 0.15)
    veiled = irregular and rng.random() < 0.5
    veil = 0.4 * min(scene.lesion, 1.0) * inside * np.clip(_cloud(rng, size, 4), 0, 1)
    return melanin, veil.astype(np.float32) if veiled else None


def _network(u: Map, v: Map, size: int, rng: np.random.Generator) -> Map:
    """A pigment network: the walls of a honeycomb, about -1 to 1."""
    pitch = np.float32(rng.uniform(34, 44))
    third = np.float32(np.sqrt(0.75))
    u, v = u + 0.05 * _cloud(rng, size, 8, 0.5), v + 0.05 * _cloud(rng, size, 8, 0.5)
    rows: Map = np.cos(pitch * u) + np.cos(pitch * (0.5 * u + third * v))
    rows += np.cos(pitch * (0.5 * u - third * v))
    rows *= np.float32(-0.5)
    return rows


def _hairs(count: int, size: int, rng: np.random.Generator) -> Map | None:
    """How much hair covers each pixel, 0 to 1: curved strokes that taper to a point."""
    if count == 0:
        return None
    large = size * OVERSAMPLING
    sheet = Image.new("L", (large, large))
    pen = ImageDraw.Draw(sheet)
    t = np.linspace(0, 1, 9)
    main = rng.uniform(0, 2 * np.pi)  # hairs of one place grow in about one direction
    angle = main + rng.normal(0, 0.5, (count, 1))
    length, bow = rng.uniform(0.5, 1.5, (count, 1)), rng.normal(0, 0.22, (count, 1))
    root = rng.uniform(-1.2, 1.0, (2, count, 1))
    width = rng.uniform(0.009, 0.018, (count, 1)) * (1 - t) ** 0.6
    side = bow * (np.sin(np.pi * t) + 0.5 * t**2)
    # each outline runs along one side of the stroke and back along the other
    side = np.concatenate([side + width, (side - width)[:, ::-1]], axis=1)
    ahead = length * np.concatenate([t, t[::-1]])
    x = root[0] + np.cos(angle) * ahead - np.sin(angle) * side
    y = root[1] + np.sin(angle) * ahead + np.cos(angle) * side
    outlines = ((np.stack([x, y], axis=-1) + 1) * (large / 2)).reshape(count, -1).tolist()
    for outline, opacity in zip(outlines, rng.integers(130, 220, count).tolist(), strict=True):
        pen.polygon(outline, fill=opacity)
    return np.asarray(sheet.reduce(OVERSAMPLING), np.float32) / np.float32(255)
