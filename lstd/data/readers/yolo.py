"""Reads YOLO data sets: class names, images, and a text file of boxes for each image.

`docs/data.md` says what is read; `yolo_rows` what a line is, `frame_names` which images are a
video.

Source: https://docs.ultralytics.com/datasets/detect/.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import documents, label_map, natural
from lstd.data.readers import frame_pictures, image_sets, yolo_rows
from lstd.data.readers.image_sets import Shot
from lstd.data.readers.label_files import Found, Options, WrongTree, all_taken, chosen
from lstd.data.readers.labelled_video import Classes

_SUBSETS = ("train", "val", "test", "valid", "validation", "training", "testing")
_NO_LABELS = re.compile(r"(classes|notes|readme.*|train|valid?|test|validation)\.txt$", re.I)


class _Tree(NamedTuple):
    """What a data set says about itself."""

    file: Path  # that says so
    root: Path  # folder that paths start from
    names: Mapping[int, str]  # of the class numbers, which may have gaps
    entries: dict[str, list[str]]  # subset -> folders of images, or text files that list them
    start: str = ""  # folder that the entries may start from, beside the root
    points: int | None = None  # values of a pose, by kpt_shape; None without data.yaml


def matches(path: Path) -> bool:
    """Whether this is a `data.yaml`, a folder with one, or one with names and labelled images."""
    if _descriptions(path):
        return True
    if not path.is_dir() or _names_file(path) is None:
        return False
    if any(_label_file(image).exists() for image in _walk(path, frame_pictures.SUFFIXES)):
        return True
    folders = [*path.glob("labels"), *path.glob("obj_*_data")]
    return any(True for folder in folders for _ in _texts(folder))


def read(path: Path, options: Options) -> Found:
    """Returns the videos; label files are read with their frames; raises as `readers.open`."""
    tree, notes = _tree(path, options), options.notes
    shots, labels = [], []
    taken: set[Path] = set()
    titles = {}
    num_named = 0
    entries = [entry for told in tree.entries.values() for entry in told]
    for part, entry in enumerate(entries):
        base, files = (_labels if options.images else _images)(tree, entry)
        titles[str(part)] = base.name
        num_named += len(files)
        for file in dict.fromkeys(files):
            if file not in taken:
                name = (file.relative_to(base) if file.is_relative_to(base) else file).as_posix()
                name = name.removesuffix(".txt") if options.images else name
                label = str(file if options.images else _label_file(file))
                places = image_sets.places(options, [base])
                shots.append(Shot(name, label, places, str(file.parent), str(part)))
                labels.append(label)
                taken.add(file)
    _check_images(tree, entries, taken, options)
    reader = yolo_rows.Reader(dict(tree.names), yolo_rows.points_of(tree.points, labels))
    classes = Classes(tree.names.values(), options.labels)
    videos = image_sets.by_names(
        shots, classes, options, titles, in_pixels=False, read_labels=reader
    )
    videos = [dataclasses.replace(one, has_tracks=reader.has_tracks(one.frames)) for one in videos]
    if num_named > len(taken):
        notes.append(
            f"{num_named - len(taken)} images are named more than once by "
            f"{', '.join(tree.entries)}; each is taken once, and what is trained on must not be "
            "what is measured on"
        )
    if labels and not any(Path(label).exists() for label in labels):
        notes.append(
            f"none of the {len(labels)} images has a text file with boxes; looked for {labels[0]} "
            "and so on, and beside the images"
        )
    notes += all_taken(part for part in tree.entries if part)
    return classes.labels, videos


def _tree(path: Path, options: Options) -> _Tree:
    """Returns what a data set says about itself."""
    found = _descriptions(path)
    if len(found) > 1:
        told = ", ".join(file.name for file in found)
        raise WrongTree(f"{path}: expected one data.yaml with names, found {told}")
    if found:
        return _described(found[0], options.subset, options.notes)
    file = _names_file(path)
    names = list(options.labels) if file is None else label_map.lines(documents.read_text(file))
    if not names or not path.is_dir():
        what = "neither data.yaml nor classes.txt" if file is None else f"no name in {file.name}"
        raise WrongTree(f"{path}: {what}")
    entries = {"": ["images" if (path / "images").is_dir() else "."]}
    if options.subset:
        # The best come last. `obj_train_data` is CVAT's way to write train.
        places = [*path.glob("*/"), *path.glob("labels/*/"), *path.glob("images/*/")]
        folders = {
            re.sub(r"^obj_(.+)_data$", r"\1", place.name, flags=re.IGNORECASE): place
            for place in places
            if place.name not in ("images", "labels")
        }
        parts = chosen(options.subset, folders, where=str(path))
        entries = {part: [str(folders[part].relative_to(path))] for part in parts}
    return _Tree(file or path / "classes.txt", path, dict(enumerate(names)), entries)


def _descriptions(path: Path) -> list[Path]:
    files = [path] if path.is_file() else sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
    return [file for file in files if file.suffix.lower() in (".yaml", ".yml") and _is_data(file)]


def _is_data(path: Path) -> bool:
    try:
        content = _load(path)
    except ValueError:
        return path.stem == "data"  # by its name it should be, and the reader says what is wrong
    return isinstance(content, dict) and "names" in content and bool(_subsets(content, path))


def _load(path: Path) -> Any:
    return documents.from_yaml(documents.read_text(path), source=str(path))


def _names_file(folder: Path) -> Path | None:
    told = (folder / "classes.txt", *sorted(folder.glob("*.names")), folder / "labels/classes.txt")
    return next((file for file in told if file.is_file()), None)


def _subsets(content: Mapping[str, Any], file: Path) -> dict[str, list[str]]:
    """Returns the entries of each subset, which is known by its name or because its path exists."""
    root = file.parent / str(content.get("path") or "")
    found = {}
    for name, said in content.items():
        known = str(name).lower() in _SUBSETS
        told = [str(one) for one in (said if isinstance(said, list) else [said]) if one]
        if name in ("names", "path") or not told or isinstance(said, dict | bool):
            continue
        is_path = isinstance(said, str | list)  # not nc: 3, though there is a folder 3
        if known or (is_path and all((root / one).exists() for one in told)):
            found[str(name)] = told
    return found


def _described(file: Path, subset: str, notes: list[str]) -> _Tree:
    """Returns what a `data.yaml` says about one subset or all."""
    content = _load(file)
    names = content["names"]
    names = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(names, dict) or not all(
        str(key).isdecimal() and isinstance(name, str) for key, name in names.items()
    ):
        raise ValueError(
            f"{file}: names is {content['names']!r}, expected a list, or numbers with names"
        )
    shape = content.get("kpt_shape")
    is_shape = isinstance(shape, list) and re.fullmatch(r"\[[1-9]\d*, [23]\]", str(shape))
    if shape is not None and not is_shape:
        raise ValueError(f"{file}: kpt_shape is {shape!r}, expected [number of points, 2 or 3]")
    told = _subsets(content, file)
    entries = {one: told[one] for one in chosen(subset, told, where=str(file))}
    tree = _Tree(
        file,
        file.parent,
        {int(key): names[key] for key in sorted(names, key=int)},
        entries,
        str(content.get("path") or ""),
        shape[0] * shape[1] if shape else 0,
    )
    if not subset and len(entries) > 1:
        for one in [one for one in entries if not one.lower().startswith("train")]:
            try:
                for entry in entries[one]:
                    _place(tree, entry)
            except WrongTree:
                lost = ", ".join(entries.pop(one))
                notes.append(f"{one} of {file.name} is {lost}, which is not there")
    return tree


def _place(tree: _Tree, entry: str) -> Path:
    """Returns the folder or list of images that an entry stands for.

    Tools write paths from elsewhere, and of other machines.
    """
    said = frame_pictures.clean(entry)
    parts = [part for part in said.split("/") if part not in ("", ".", "..")]
    least = 1 if said.endswith(".txt") else 2  # of /data/train/images not images alone
    places = [tree.root / tree.start / said, tree.root / said]
    places += [
        tree.root.joinpath(*parts[first:]) for first in range(max(1, len(parts) - least + 1))
    ]
    for place in places:
        is_disk = place.resolve() == place.resolve().parent  # all of it would be walked through
        if not is_disk and (place.exists() or _beside_images(place).is_dir()):
            return place
    looked = ", ".join(str(place) for place in dict.fromkeys(places))
    raise WrongTree(f"{tree.file}: {entry} is not there; looked for {looked}")


def _beside_images(place: Path) -> Path:
    return Path(*("labels" if part == "images" else part for part in place.parts))


def _images(tree: _Tree, entry: str) -> tuple[Path, list[Path]]:
    """Returns the folder of an entry, and its images in natural order."""
    place = _place(tree, entry)
    if place.is_file():
        told = documents.read_text(place).split("\n")
        lines = [line.strip() for line in told if line.strip()]
        try:
            find = frame_pictures.finder(lines, [place.parent, tree.root], where=str(place))
        except ValueError:
            find = frame_pictures.Finder(tree.root)
        return tree.root, [find(line) for line in lines]
    return place, sorted(
        _walk(place, frame_pictures.SUFFIXES), key=lambda file: natural.key(str(file))
    )


def _labels(tree: _Tree, entry: str) -> tuple[Path, list[Path]]:
    """Returns the folder of an entry, and its text files in natural order; no image is needed."""
    place = _place(tree, entry)
    if place.is_file():
        base, named = _images(tree, entry)
        return base, [_label_file(image) for image in named]
    apart = _beside_images(place)
    if place == tree.root and (place / "labels").is_dir():
        apart = place / "labels"
    place = apart if apart.is_dir() else place
    return place, sorted(_texts(place), key=lambda file: natural.key(str(file)))


def _label_file(image: Path) -> Path:
    """Returns the text file of an image: below `labels` where the image is below `images`.

    Where that is not there, but one beside the image is, it is that.
    """
    beside = image.with_suffix(".txt")
    parts = list(beside.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            apart = Path(*parts)
            return beside if not apart.exists() and beside.exists() else apart
    return beside


def _check_images(tree: _Tree, entries: Sequence[str], images: set[Path], options: Options) -> None:
    """Raises if there are text files and no images at all."""
    if options.images or any(image.exists() for image in images):
        return
    texts = (file for entry in entries for file in _labels(tree, entry)[1])
    if text := next(filter(Path.exists, texts), None):
        raise ValueError(
            f"{tree.root}: there is no image, and text files such as {text}; say where the images "
            "are with --images, a folder or the video file"
        )


def _texts(folder: Path) -> Iterator[Path]:
    return (file for file in _walk(folder, (".txt",)) if not _NO_LABELS.match(file.name))


def _walk(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if file.suffix.lower() in suffixes and not file.name.startswith("."):
            yield file
