"""The toy world: one textured shape on a textured background, drawn at 128 x 128 with a caption.

Everything is drawn here with Pillow from random numbers; there is no third-party picture in the demo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops, ImageDraw

SIZE = 128
_OVERSAMPLING = 3
_CANVAS = SIZE * _OVERSAMPLING

RGB = tuple[int, int, int]
Palette = dict[str, RGB]

PALETTE: Palette = {
    "red": (214, 40, 40),
    "orange": (244, 132, 28),
    "yellow": (248, 212, 48),
    "green": (48, 160, 72),
    "blue": (44, 92, 212),
    "purple": (128, 56, 176),
    "pink": (244, 140, 184),
    "white": (244, 244, 244),
    "black": (32, 32, 36),
}
DUSKY_PALETTE: Palette = {
    "red": (148, 84, 104),
    "orange": (176, 132, 104),
    "yellow": (196, 184, 136),
    "green": (84, 124, 120),
    "blue": (76, 88, 136),
    "purple": (100, 76, 120),
    "pink": (188, 152, 172),
    "white": (200, 196, 204),
    "black": (44, 36, 60),
}
SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "ring", "diamond")
CHARACTER = "zibby"  # the new shape; the base world never shows it
STYLE_TAG = "dusky style"
TEXTURES = ("plain", "striped", "dotted", "checkered")
SIZES = {"small": (26, 31), "medium": (36, 42), "large": (47, 53)}
POSITIONS = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1), "center": (0, 0)}


@dataclass(frozen=True)
class Scene:
    """One picture. Lengths are in pixels of the finished picture, the angle in degrees."""

    shape: str
    colour: str
    texture: str
    background: str
    background_texture: str
    size: str
    position: str
    radius: float
    centre: tuple[float, float]
    angle: float
    period: float


def random_scene(rng: Random, **fixed: str | tuple[str, ...]) -> Scene:
    """A scene drawn from `rng`.

    `fixed` narrows an attribute (shape, colour, texture, background, background_texture, size, position) to one value
    or to a tuple of values; the others come from the whole base world.
    """
    options = {
        "shape": SHAPES,
        "colour": tuple(PALETTE),
        "texture": ("plain",) * 2 + TEXTURES,
        "background": tuple(PALETTE),
        "background_texture": ("plain",) * 5 + TEXTURES,
        "size": tuple(SIZES),
        "position": tuple(POSITIONS),
    }
    for name, value in fixed.items():
        options[name] = (value,) if isinstance(value, str) else value
    choice = {name: rng.choice(values) for name, values in options.items()}
    while choice["background"] == choice["colour"]:
        choice["background"] = rng.choice(options["background"])
        choice["colour"] = rng.choice(options["colour"])
    radius = rng.uniform(*SIZES[choice["size"]])
    room = max(0.0, SIZE / 2 - radius - 4)
    towards = POSITIONS[choice["position"]]
    centre = tuple(SIZE / 2 + room * (0.75 * side + rng.uniform(-0.25, 0.25)) for side in towards)
    return Scene(**choice, radius=radius, centre=centre, angle=rng.uniform(-12, 12), period=rng.uniform(17, 21))


def caption(scene: Scene, rng: Random, tag: str = "", complete: bool = False) -> str:
    """Words for `scene`, for example "a large red striped circle on a green background, left".

    The position is named every second time. Unless `complete`, the size, the look and the background are left out
    now and then. `tag` is appended after a comma.
    """
    words = []
    if scene.size != "medium" and (complete or rng.random() < 0.7):
        words.append(scene.size)
    if complete or rng.random() < 0.85:
        words.append(scene.colour)
        if scene.texture != "plain":
            words.append(scene.texture)
    words.append(scene.shape)
    text = " ".join([_article(words[0]), *words])
    if complete or rng.random() < 0.85:
        texture = "" if scene.background_texture == "plain" else f" {scene.background_texture}"
        text += f" on {_article(scene.background)} {scene.background}{texture} background"
    if rng.random() < 0.5:
        text += f", {scene.position}"
    return f"{text}, {tag}" if tag else text


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def render(scene: Scene, palette: Palette = PALETTE) -> Image.Image:
    """The picture of `scene` in `palette`: an RGB image of 128 x 128, anti-aliased."""
    background = _textured(palette[scene.background], scene.background_texture, scene.period * 1.25, 0.22)
    foreground = _textured(palette[scene.colour], scene.texture, scene.period, 0.5)
    background.paste(foreground, mask=_shape_mask(scene))
    if scene.shape == CHARACTER:
        _draw_face(background, scene)
    return background.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _textured(colour: RGB, texture: str, period: float, contrast: float) -> Image.Image:
    """A full canvas of `colour` with `texture` drawn in a second tone, `contrast` of the way to white or black."""
    towards = 0 if sum(colour) > 360 else 255
    second = tuple(round(c + (towards - c) * contrast) for c in colour)
    image = Image.new("RGB", (_CANVAS, _CANVAS), colour)
    draw = ImageDraw.Draw(image)
    step = period * _OVERSAMPLING
    cells = range(math.ceil(_CANVAS / step) + 1)
    if texture == "striped":
        for i in cells:
            draw.rectangle((0, i * step, _CANVAS, (i + 0.5) * step), fill=second)
    elif texture == "dotted":
        for i in cells:
            for j in cells:
                x, y, r = (i + 0.5) * step, (j + 0.5) * step, 0.3 * step
                draw.ellipse((x - r, y - r, x + r, y + r), fill=second)
    elif texture == "checkered":
        for i in cells:
            for j in cells:
                if (i + j) % 2:
                    draw.rectangle((i * step, j * step, (i + 1) * step, (j + 1) * step), fill=second)
    elif texture != "plain":
        raise ValueError(f"texture: {texture!r}. Expected one of {TEXTURES}")
    return image


def _point(scene: Scene, x: float, y: float) -> tuple[float, float]:
    """Canvas coordinates of (x, y) in the shape's own frame, whose radius is 1."""
    angle = math.radians(scene.angle)
    turned = (x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle))
    return tuple((c + scene.radius * t) * _OVERSAMPLING for c, t in zip(scene.centre, turned, strict=True))


def _polygon(scene: Scene, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [_point(scene, x, y) for x, y in points]


def _disc(draw: ImageDraw.ImageDraw, scene: Scene, x: float, y: float, radius: float, fill: int | RGB) -> None:
    cx, cy = _point(scene, x, y)
    r = radius * scene.radius * _OVERSAMPLING
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fill)


_STAR = [
    (r * math.sin(k * math.pi / 5), -r * math.cos(k * math.pi / 5))
    for k in range(10)
    for r in [1.0 if k % 2 == 0 else 0.42]
]
_HEART = [
    (math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16)
    for t in (k * math.pi / 32 for k in range(64))
]
_POLYGONS = {
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "triangle": [(0, -0.95), (0.95, 0.75), (-0.95, 0.75)],
    "star": _STAR,
    "heart": _HEART,
    "cross": [
        (-0.33, -1),
        (0.33, -1),
        (0.33, -0.33),
        (1, -0.33),
        (1, 0.33),
        (0.33, 0.33),
        (0.33, 1),
        (-0.33, 1),
        (-0.33, 0.33),
        (-1, 0.33),
        (-1, -0.33),
        (-0.33, -0.33),
    ],
    "diamond": [(0, -1), (0.68, 0), (0, 1), (-0.68, 0)],
}


def _shape_mask(scene: Scene) -> Image.Image:
    """A greyscale canvas: 255 inside the shape."""
    mask = Image.new("L", (_CANVAS, _CANVAS), 0)
    draw = ImageDraw.Draw(mask)
    if scene.shape == "circle":
        _disc(draw, scene, 0, 0, 0.95, 255)
    elif scene.shape == "ring":
        hole = Image.new("L", mask.size, 0)
        _disc(ImageDraw.Draw(hole), scene, 0, 0, 0.5, 255)
        _disc(draw, scene, 0, 0, 0.95, 255)
        mask = ImageChops.subtract(mask, hole)
    elif scene.shape == CHARACTER:
        _disc(draw, scene, 0, 0.2, 0.78, 255)
        for side in (-1, 1):
            draw.polygon(_polygon(scene, [(side * 0.76, 0.15), (side * 0.82, -1.0), (side * 0.08, -0.5)]), fill=255)
    elif scene.shape in _POLYGONS:
        draw.polygon(_polygon(scene, _POLYGONS[scene.shape]), fill=255)
    else:
        raise ValueError(f"shape: {scene.shape!r}. Expected one of {(*SHAPES, CHARACTER)}")
    return mask


def _draw_face(image: Image.Image, scene: Scene) -> None:
    """The character's white eyes with black pupils."""
    draw = ImageDraw.Draw(image)
    for side in (-1, 1):
        _disc(draw, scene, side * 0.32, 0.12, 0.25, (250, 250, 250))
        _disc(draw, scene, side * 0.32, 0.16, 0.12, (16, 16, 16))
