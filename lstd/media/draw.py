"""Draws detections into frames, and frames into sheets."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lstd.base import label_map
from lstd.base.types import MIN_SCORE
from lstd.media import optional

if TYPE_CHECKING:
    from lstd.base.types import Detections

Color = tuple[int, int, int]
Place = tuple[int, int, int, int]
"""Pixels: left, top, right, bottom, all of them in it."""

NETWORK_COLORS: dict[str, Color] = {"large": (214, 69, 32), "small": (31, 119, 200)}
"""The badge of a frame: which network saw it."""
_READABLE_PX = 480
_PAPER, _INK = (255, 255, 255), (0, 0, 0)
_DARK, _LIGHT = (24, 28, 34), (240, 242, 245)
_GOLDEN_RATIO = 0.618034


def color_of(class_index: int) -> Color:
    """Returns the RGB colour of a class: far from its neighbours' and the same in every run."""
    hue = (0.33 + class_index * _GOLDEN_RATIO) % 1.0
    lightness = (0.5, 0.38, 0.62)[class_index // 12 % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def readable_scale(height: int, width: int) -> int:
    """Returns the whole number by which to enlarge a small frame, so that text can be read."""
    return max(1, -(-_READABLE_PX // max(1, height, width)))


def annotate(
    frame: np.ndarray,
    detections: Detections,
    labels: Sequence[str],
    *,
    network: str | None = None,
    min_score: float = MIN_SCORE,
    scale: int | None = 1,
    with_scores: bool = True,
    true_boxes: np.ndarray | None = None,
) -> np.ndarray:
    """Returns a copy of the frame with boxes, labels with scores, and the network's badge.

    A label stands above its box, or where it covers less of other boxes; none covers another one,
    so the worst detections of a crowd have none.

    Args:
        frame: uint8 `[H, W, 3]` RGB, or `[H, W, 1]` grey.
        detections: of this frame, no batch axis; boxes in [0, 1] of the frame, N may be 0.
        labels: names of the classes; a class beyond them is called by its number.
        network: "large" or "small", shown in the top left corner; None: no badge.
        min_score: detections below it are not drawn.
        scale: the whole number by which the picture is enlarged; None: `readable_scale`.
        with_scores: False for true boxes, whose score says nothing.
        true_boxes: `[M, 4]` in [0, 1], drawn white, below the others.

    Returns:
        uint8 RGB `[H * scale, W * scale, 3]`.
    """
    frame = np.asarray(frame)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] not in (1, 3):
        raise ValueError(f"expected uint8 [H, W, 1 or 3], got {frame.dtype} {list(frame.shape)}")
    height, width = frame.shape[:2]
    scale = readable_scale(height, width) if scale is None else scale
    if scale < 1:
        raise ValueError(f"scale must be a whole number of at least 1, got {scale}")
    image = optional.load("PIL.Image").fromarray(np.broadcast_to(frame, (height, width, 3)).copy())
    if scale > 1:
        image = image.resize((width * scale, height * scale))
    pen = _Pen(image, clear=true_boxes)
    if network is not None:
        pen.label(network, 0, 0, NETWORK_COLORS.get(network, (90, 90, 90)))
    rows = [row for row in range(int(detections.count)) if detections.scores[row] >= min_score]
    places = {row: pen.outline(np.asarray(detections.boxes[row])) for row in rows}
    colors = {row: color_of(int(detections.classes[row])) for row in rows}
    for row in reversed(rows):  # The best one lies on top.
        pen.box(places[row], colors[row])
    for row in rows:
        text = label_map.name_of(labels, int(detections.classes[row]))
        if with_scores:
            text += f" {float(detections.scores[row]):.2f}"
        pen.tag(text, places[row], colors[row])
    return np.asarray(image)


def contact_sheet(
    frames: Sequence[np.ndarray],
    captions: Sequence[str] = (),
    *,
    columns: int = 3,
    cell_width: int = 320,
    gap: int = 8,
    clear: bool = False,
) -> np.ndarray:
    """Returns frames side by side, row by row, each with its caption below, on white.

    Args:
        frames: at least one, uint8 RGB `[H, W, 3]`; the sizes may differ.
        captions: one for each frame, or none at all; see `strip`.
        columns: frames in a row.
        cell_width: pixels; the height follows, and the highest frame decides for all rows.
        gap: pixels around the cells.
        clear: RGBA for a page of any colour, clear around the cells, whose captions are on dark.
    """
    if not frames or len(captions) not in (0, len(frames)):
        raise ValueError(f"a contact sheet of {len(frames)} frames, {len(captions)} captions")
    pil_image = optional.load("PIL.Image")
    columns = min(columns, len(frames))
    cells = [
        np.asarray(
            pil_image.fromarray(each)
            .convert("RGB")
            .resize((cell_width, max(1, round(each.shape[0] * cell_width / each.shape[1]))))
        )
        for each in map(np.asarray, frames)
    ]
    if captions:
        letters_px = max(10, cell_width // 20)
        below = [strip(text, cell_width, letters_px=letters_px, dark=clear) for text in captions]
        cells = [np.concatenate(each) for each in zip(cells, below, strict=True)]
    step_x, step_y = cell_width + gap, max(map(len, cells)) + gap
    rows = -(-len(cells) // columns)
    mode, paper = ("RGBA", (0, 0, 0, 0)) if clear else ("RGB", _PAPER)
    sheet = pil_image.new(mode, (columns * step_x + gap, rows * step_y + gap), paper)
    for index, cell in enumerate(cells):
        place = gap + index % columns * step_x, gap + index // columns * step_y
        sheet.paste(pil_image.fromarray(cell), place)
    return np.asarray(sheet)


def strip(text: str, width: int, *, letters_px: int = 16, dark: bool = True) -> np.ndarray:
    """Returns the line of text, uint8 RGB `[H, width, 3]`, light on dark or black on white.

    Of a text that is too long the end is seen.
    """
    font = optional.load("PIL.ImageFont").load_default(size=letters_px)
    paper, ink = (_DARK, _LIGHT) if dark else (_PAPER, _INK)
    size = width, sum(font.getmetrics()) + 4
    image = optional.load("PIL.Image").new("RGB", size, paper)
    left = min(4.0, width - 4 - font.getlength(text))
    optional.load("PIL.ImageDraw").Draw(image).text((left, 2), text, fill=ink, font=font)
    return np.asarray(image)


class _Pen:
    """Draws into one image, with line and letters to fit its size."""

    def __init__(self, image: Any, *, clear: np.ndarray | None = None) -> None:
        self._draw = optional.load("PIL.ImageDraw").Draw(image)
        self._width, self._height = image.size
        shorter = min(image.size)
        self._line_px = max(2, round(shorter / 240))
        self._margin_px = max(2, self._line_px)
        letters_px = max(12, round(shorter / 30))
        self._font = optional.load("PIL.ImageFont").load_default(size=letters_px)
        self._boxes: list[Place] = []  # all outlines
        self._labels: list[Place] = []
        for box in () if clear is None else np.asarray(clear).reshape(-1, 4):
            self._draw.rectangle(self.outline(box), outline=_PAPER, width=self._line_px)

    def outline(self, box: np.ndarray) -> Place:
        """Returns the pixels of ymin, xmin, ymax, xmax in [0, 1], which tags are to leave clear."""
        size = np.array([self._height, self._width])
        corners = np.clip(box, 0.0, 1.0) * np.tile(size, 2)
        top, left = np.minimum(corners[:2].astype(int), size - 1).tolist()
        bottom, right = np.maximum(np.ceil(corners[2:]).astype(int) - 1, (top, left)).tolist()
        self._boxes.append((left, top, right, bottom))
        return self._boxes[-1]

    def box(self, place: Place, color: Color) -> None:
        """Draws an outline, which lies inside the box."""
        self._draw.rectangle(place, outline=color, width=self._line_px)

    def tag(self, text: str, box: Place, color: Color) -> None:
        """Writes at a box where the text covers no other text and least of the boxes, if it can."""
        (left, top, right, bottom), (width, height) = box, self._size_of(text)
        beside = [(right + 1, top), (left - width, top)]
        rows = (top - height, bottom + 1, top, bottom + 1 - height)
        corners = [(x, y) for y in rows for x in (left, right + 1 - width)]
        places = [self._moved_in(*corner, width, height) for corner in (*corners, *beside)]
        free = [place for place in places if not any(_shared(place, each) for each in self._labels)]
        if free:
            best = min(free, key=lambda place: sum(_shared(place, each) for each in self._boxes))
            self.label(text, *best[:2], color)

    def label(self, text: str, left: int, top: int, color: Color) -> None:
        """Writes black or white on the colour, moved into the picture where it would leave it."""
        place = self._moved_in(left, top, *self._size_of(text))
        self._labels.append(place)
        self._draw.rectangle(place, fill=color)
        brightness = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
        ink = _INK if brightness > 140 else _PAPER
        corner = (place[0] + self._margin_px, place[1] + self._margin_px)
        self._draw.text(corner, text, fill=ink, font=self._font, anchor="la")

    def _moved_in(self, left: int, top: int, width: int, height: int) -> Place:
        left = max(0, min(left, self._width - width))
        top = max(0, min(top, self._height - height))
        return left, top, left + width - 1, top + height - 1

    def _size_of(self, text: str) -> tuple[int, int]:
        ascent, descent = self._font.getmetrics()
        width = int(np.ceil(self._font.getlength(text))) + 2 * self._margin_px
        return width, ascent + descent + 2 * self._margin_px


def _shared(one: Place, other: Place) -> int:
    """Returns how many pixels two places have in common."""
    width = min(one[2], other[2]) + 1 - max(one[0], other[0])
    height = min(one[3], other[3]) + 1 - max(one[1], other[1])
    return max(0, width) * max(0, height)
