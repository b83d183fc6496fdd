"""Draws the frames of synthetic videos, and says where the objects are in them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from lstd.base.types import GroundTruth
from lstd.data.synthetic_scene import Object, Scene, draw
from lstd.media import optional, picture_file

_BLUR_SAMPLES = 5


def render(
    scene: Scene, video: int, number: int, *, objects: Sequence[Object], background: str
) -> tuple[np.ndarray, GroundTruth]:
    """Returns a frame, uint8 `[H, W, 3]`, and its boxes, with tracks.

    Args:
        scene: the settings.
        video: number of the video.
        number: of the frame.
        objects: of the video.
        background: file of a picture; empty: smooth noise.
    """
    image = _background(background, scene, video).astype(np.float32)
    owner = np.full([scene.height, scene.width], -1)  # which object is on top
    extents = []
    for place, thing in enumerate(objects):
        color, alpha = _sprite(thing, scene)
        times = [float(number)]
        if scene.blur:
            times = [
                number + scene.blur * (k / (_BLUR_SAMPLES - 1) - 0.5) for k in range(_BLUR_SAMPLES)
            ]
        _paint(image, color, alpha, [_corner(thing, scene, time) for time in times])
        y, x = _corner(thing, scene, number)
        mask = alpha >= 0.5
        owner[y : y + thing.height, x : x + thing.width][mask] = place
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (y + rows[0], x + columns[0], y + rows[-1] + 1, x + columns[-1] + 1)
        extents.append((box, int(mask.sum())))
    rng = draw(scene, video, 2, number)
    _occlude(image, owner, scene, rng)
    if scene.noise:
        image += rng.normal(0, scene.noise, image.shape).astype(np.float32)
    seen = [
        place
        for place, (_, area) in enumerate(extents)
        if (owner == place).sum() >= max(1, scene.min_visible * area)
    ]
    scale = np.array([scene.height, scene.width, scene.height, scene.width], np.float64)
    boxes = np.array([extents[place][0] for place in seen], np.float64).reshape(-1, 4) / scale
    truth = GroundTruth(
        boxes=boxes.astype(np.float32),
        classes=np.array([objects[place].class_index for place in seen], np.int32),
        track_ids=np.array(seen, np.int32),
    )
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), truth


def _corner(thing: Object, scene: Scene, time: float) -> tuple[int, int]:
    """Returns the upper left pixel of an object, which turns back at the edges of the frame."""
    result = []
    for axis, (extent, side) in enumerate(
        ((scene.height, thing.height), (scene.width, thing.width))
    ):
        room = extent - side
        place = (thing.start[axis] + thing.step[axis] * time) % (2 * room) if room > 0 else 0.0
        result.append(round(place if place <= room else 2 * room - place))
    return result[0], result[1]


def _paint(
    image: np.ndarray, color: np.ndarray, alpha: np.ndarray, corners: Sequence[tuple[int, int]]
) -> None:
    """Lays an object over the image in place; several corners smear it."""
    height, width = alpha.shape
    cover = np.zeros(image.shape[:2], np.float32)
    paint = np.zeros_like(image)
    for y, x in corners:
        cover[y : y + height, x : x + width] += alpha
        paint[y : y + height, x : x + width] += color * alpha[..., np.newaxis]
    cover /= len(corners)
    image *= 1 - cover[..., np.newaxis]
    image += paint / len(corners)


def _occlude(image: np.ndarray, owner: np.ndarray, scene: Scene, rng: np.random.Generator) -> None:
    """Lays a grey bar over the whole height or width of some frames, in place."""
    if rng.uniform() >= scene.occlusion:
        return
    axis = int(rng.integers(2))
    extent = image.shape[axis]
    width = max(1, round(extent * rng.uniform(scene.min_bar, scene.max_bar)))
    start = int(rng.integers(0, extent - width + 1))
    window = (slice(None),) * axis + (slice(start, start + width),)
    image[window] = rng.uniform(60, 200)
    owner[window] = -1


@functools.lru_cache(maxsize=256)
def _sprite(thing: Object, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Returns colour float32 `[h, w, 3]` and alpha float32 `[h, w]` of an object."""
    if thing.picture:
        with picture_file.opened(thing.picture, where=thing.picture) as opened:
            clear = "A" in opened.mode or "transparency" in opened.info
            shown = opened if clear else picture_file.rgb(opened)
            shown = shown.convert("RGBA").resize((thing.width, thing.height))
        values = np.asarray(shown).astype(np.float32)
        alpha = values[..., 3] / 255
        if (alpha >= 0.5).any():
            return values[..., :3], alpha
        raise ValueError(f"{thing.picture}: this cut-out is transparent all over")
    mask = _shape(scene.shapes[thing.class_index], thing.height, thing.width)
    return np.broadcast_to(np.array(thing.color, np.float32), (*mask.shape, 3)), mask.astype(
        np.float32
    )


def _shape(name: str, height: int, width: int) -> np.ndarray:
    """Returns bool `[h, w]`, which touches all four sides."""
    y = (np.arange(height)[:, np.newaxis] + 0.5) / height * 2 - 1
    x = (np.arange(width)[np.newaxis] + 0.5) / width * 2 - 1
    masks: dict[str, Any] = {
        "circle": y**2 + x**2 <= 1,
        "square": (np.abs(y) <= 1) & (np.abs(x) <= 1),
        "triangle": np.abs(x) <= (y + 1) / 2 + 1 / width,
        "diamond": np.abs(y) + np.abs(x) <= 1 + 1 / max(height, width),
        "cross": (np.abs(y) <= 0.34) | (np.abs(x) <= 0.34),
    }
    return masks[name]


@functools.lru_cache(maxsize=8)
def _background(picture: str, scene: Scene, number: int) -> np.ndarray:
    """Returns uint8 `[H, W, 3]`: a picture that fills the frame, or smooth noise."""
    image = optional.load("PIL.Image")
    size = (scene.width, scene.height)
    if picture:
        with picture_file.opened(picture, where=picture) as opened:
            shown = optional.load("PIL.ImageOps").fit(picture_file.rgb(opened), size)
    else:
        coarse = draw(scene, number, 3).integers(40, 200, [8, 8, 3]).astype(np.uint8)
        shown = image.fromarray(coarse).resize(size, image.Resampling.BICUBIC)
    return np.asarray(shown)
