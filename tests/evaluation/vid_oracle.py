"""ImageNet VID's protocol written down word for word: one box at a time, plain Python, slow."""

from typing import Any

RANGES = {"": (0.0, 1.0), "_slow": (0.9, 1.0), "_medium": (0.7, 0.9), "_fast": (0.0, 0.7)}

Box = list[float]  # ymin, xmin, ymax, xmax
# (video, index) -> (true rows (box, class, track), detected rows (box, class, score))
Video = dict[tuple[str, int], tuple[list[Any], list[Any]]]


def overlap(a: Box, b: Box) -> float:
    height = min(a[2], b[2]) - max(a[0], b[0]) + 1
    width = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if height <= 0 or width <= 0:
        return 0.0
    inner = height * width
    area_a = (a[2] - a[0] + 1) * (a[3] - a[1] + 1)
    area_b = (b[2] - b[0] + 1) * (b[3] - b[1] + 1)
    return inner / (area_a + area_b - inner)


def threshold(box: Box) -> float:
    height, width = box[2] - box[0] + 1, box[3] - box[1] + 1
    return min(0.5, width * height / ((width + 10) * (height + 10)))


def motion(frames: Video, video: str, index: int, row: int) -> float:
    box, _, track = frames[video, index][0][row]
    seen = []
    for time in range(index - 10, index + 11):
        for other_row, (other, _, other_track) in enumerate(frames.get((video, time), ([], []))[0]):
            if other_track == track and (time, other_row) != (index, row):
                seen.append(overlap(box, other))
    return sum(seen) / len(seen) if seen else 0.0


def results(frames: Video, num_classes: int) -> dict[str, float]:
    """Returns `vid/ap50` and `vid/classes` of every range."""
    order = sorted(frames)
    moved = {
        (frame, row): motion(frames, *frame, row)
        for frame in order
        for row in range(len(frames[frame][0]))
    }
    numbers = {}
    for name, (low, high) in RANGES.items():
        # A mean that is 0.7 by rights may miss it by the last bits of a float.
        inside = {key: low - 1e-9 <= value <= high + 1e-9 for key, value in moved.items()}
        precisions = _of_range(frames, order, inside, num_classes)
        counted = [value for value in precisions if value is not None]
        numbers[f"vid/ap50{name}"] = sum(counted) / len(counted) if counted else -1.0
        numbers[f"vid/classes{name}"] = len(counted)
    return numbers


def _of_range(
    frames: Video, order: list[Any], inside: dict[Any, bool], num_classes: int
) -> list[float | None]:
    share = sum(inside.values()) / len(inside) if inside else 0.0
    judged: list[tuple[float, int, float, float]] = []  # score, class, true, false
    for frame in order:
        true, found = frames[frame]
        taken: set[int] = set()
        for box, label, score in sorted(found, key=lambda row: -row[2]):
            best, match = -1.0, None
            best_in = best_out = -1.0
            for row, (other, other_label, _) in enumerate(true):
                shared = overlap(box, other)
                fits = other_label == label and row not in taken and shared >= threshold(other)
                if fits and shared > best:
                    best, match = shared, row
                if inside[frame, row]:
                    best_in = max(best_in, shared)
                else:
                    best_out = max(best_out, shared)
            if match is not None:
                taken.add(match)
                judged.append((score, label, 1.0 if inside[frame, match] else 0.0, 0.0))
            elif best_in > best_out:
                judged.append((score, label, 0.0, 1.0))
            elif best_out > best_in:
                judged.append((score, label, 0.0, 0.0))
            elif not true:
                judged.append((score, label, 0.0, share))
            else:
                outside = sum(not inside[frame, row] for row in range(len(true)))
                judged.append((score, label, 0.0, outside / len(true)))
    judged.sort(key=lambda row: -row[0])
    return [
        _average_precision(
            [row for row in judged if row[1] == label],
            sum(
                inside[frame, row]
                for frame in order
                for row, true in enumerate(frames[frame][0])
                if true[1] == label
            ),
        )
        for label in range(num_classes)
    ]


def _average_precision(judged: list[Any], positives: int) -> float | None:
    if positives == 0:
        return None
    recalls, precisions = [0.0], [0.0]
    hits = false = 0.0
    for _, _, hit, wrong in judged:
        hits, false = hits + hit, false + wrong
        recalls.append(hits / positives)
        precisions.append(hits / (hits + false) if hits + false else 0.0)
    recalls.append(1.0)
    precisions.append(0.0)
    for place in range(len(precisions) - 2, -1, -1):
        precisions[place] = max(precisions[place], precisions[place + 1])
    return sum(
        (after - before) * precision
        for before, after, precision in zip(recalls, recalls[1:], precisions[1:], strict=False)
    )
