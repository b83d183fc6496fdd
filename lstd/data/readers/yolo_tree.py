"""Where a YOLO data set has its class names, its images and their label files.

With `data.yaml`, as Ultralytics and Roboflow write it; or without, as labelImg, Label Studio and
CVAT do: `classes.txt` (also in `labels/`) or `obj.names` with the class names, a line each, and
images anywhere below; `obj_train_data/`, `images/train/` and so on are its subsets.

Source: https://docs.ultralytics.com/datasets/detect/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import documents, label_map, natural
from lstd.data.readers import pictures
from lstd.data.readers.options import Options, WrongTree, chosen

TREE = """\
data.yaml with names, and train and val such as images/train
images/train/street/0001.jpg ..., or none, and --images FOLDER or --images VIDEO
labels/train/street/0001.txt ..., the same folders; or each text file beside its image
without data.yaml: classes.txt or obj.names, one class a line; or --format yolo --label_map FILE"""

_SUBSETS = ("train", "val", "test", "valid", "validation", "training", "testing")
_NO_LABELS = re.compile(r"(classes|notes|readme.*|train|valid?|test|validation)\.txt$", re.I)


class Tree(NamedTuple):
    """What a data set says about itself.

    Attributes:
        file: what says so; paths in messages start from it.
        root: folder that paths start from.
        names: number -> name of each class; numbers may have gaps.
        entries: subset -> folders of images, or text files that list them.
        start: folder that the entries may start from, beside the root.
        notes: what of it is not there.
        point_values: how many values follow the box of a pose, of `kpt_shape`; 0 where it is not
            said, None without `data.yaml`.
    """

    file: Path
    root: Path
    names: Mapping[int, str]
    entries: Mapping[str, Sequence[str]]
    start: str = ""
    notes: tuple[str, ...] = ()
    point_values: int | None = None


def matches(path: Path) -> bool:
    """Whether this is a `data.yaml`, a folder with one, or one with names and labelled images."""
    if _descriptions(path):
        return True
    if not path.is_dir() or _names_file(path) is None:
        return False
    if any(label_file(image).exists() for image in _walk(path, pictures.SUFFIXES)):
        return True
    folders = [*path.glob("labels"), *path.glob("obj_*_data")]
    return any(True for folder in folders for _ in _label_files(folder))


def find(path: Path, options: Options) -> Tree:
    """Returns what a data set says about itself.

    Raises:
        ValueError: several `data.yaml`, or none and no class names either; no such subset.
    """
    found = _descriptions(path)
    if len(found) > 1:
        told = ", ".join(file.name for file in found)
        raise WrongTree(f"{path}: expected one data.yaml with names, found {told}\n{TREE}")
    if found:
        return _described(found[0], options.subset)
    if not path.is_dir():
        raise WrongTree(f"{path}: this is no data.yaml with names and train\n{TREE}")
    file = _names_file(path)
    names = list(options.labels) if file is None else _lines(file)
    if not names:
        what = "neither data.yaml nor classes.txt" if file is None else f"no name in {file.name}"
        raise WrongTree(f"{path}: {what}; expected\n{TREE}")
    entries: dict[str, tuple[str, ...]] = {"": ("images" if (path / "images").is_dir() else ".",)}
    if options.subset:
        folders = {_subset_of(place): place for place in _subset_folders(path)}
        entries = {
            one: (str(folders[one].relative_to(path)),)
            for one in chosen(options.subset, folders, where=str(path))
        }
    return Tree(file or path / "classes.txt", path, dict(enumerate(names)), entries)


def images(tree: Tree, entry: str) -> tuple[Path, list[Path]]:
    """Returns the folder of an entry, and its images in natural order.

    Raises:
        WrongTree: the entry is in none of the places where tools put it.
    """
    place = _place(tree, entry)
    if place.is_file():
        told = documents.read_text(place).split("\n")
        lines = [line.strip() for line in told if line.strip()]
        try:
            found = pictures.finder(lines, [place.parent, tree.root], where=str(place))
        except ValueError:
            found = pictures.Finder(tree.root)
        return tree.root, [found(line) for line in lines]
    return place, sorted(_walk(place, pictures.SUFFIXES), key=lambda file: natural.key(str(file)))


def labels(tree: Tree, entry: str) -> tuple[Path, list[Path]]:
    """Returns the folder of an entry, and its text files in natural order; no image is needed.

    Raises: as `images`.
    """
    if not (tree.root / entry).is_dir():
        base, named = images(tree, entry)
        if _place(tree, entry).is_file():
            return base, [label_file(image) for image in named]
    place = _place(tree, entry)
    parts = ["labels" if part == "images" else part for part in place.parts]
    apart = Path(*parts)
    if place == tree.root and (place / "labels").is_dir():
        apart = place / "labels"
    place = apart if apart.is_dir() else place
    return place, sorted(_label_files(place), key=lambda file: natural.key(str(file)))


def _place(tree: Tree, entry: str) -> Path:
    """Returns the folder, or the list of images, that an entry means."""
    places = [*_places(tree.root, tree.start, entry)]
    for place in places:
        parts = ["labels" if part == "images" else part for part in place.parts]
        is_disk = place.resolve() == place.resolve().parent  # all of it would be walked through
        if not is_disk and (place.exists() or Path(*parts).is_dir()):
            return place
    looked = ", ".join(str(place) for place in dict.fromkeys(places))
    raise WrongTree(f"{tree.file}: {entry} is not there; looked for {looked}; expected\n{TREE}")


def _places(root: Path, start: str, entry: str) -> Iterator[Path]:
    """Yields where an entry may be; tools write paths from elsewhere, and of other machines."""
    entry = pictures.clean(entry)
    yield root / start / entry
    yield root / entry
    parts = [part for part in entry.split("/") if part not in ("", ".", "..")]
    least = 1 if entry.endswith(".txt") else 2  # of /data/train/images not images alone
    for place in range(max(1, len(parts) - least + 1)):
        yield root.joinpath(*parts[place:])


def _subset_folders(path: Path) -> Iterator[Path]:
    """Yields the folders of a tree without data.yaml that hold a part of it; the best come last."""
    for folder in (*path.glob("*"), *path.glob("labels/*"), *path.glob("images/*")):
        if folder.is_dir() and folder.name not in ("images", "labels"):
            yield folder


def _subset_of(folder: Path) -> str:
    """Returns the subset of a folder: `obj_train_data` is CVAT's way to write train."""
    return re.sub(r"^obj_(.+)_data$", r"\1", folder.name, flags=re.IGNORECASE)


def _label_files(folder: Path) -> Iterator[Path]:
    for file in _walk(folder, (".txt",)):
        if not _NO_LABELS.match(file.name):
            yield file


def label_file(image: Path) -> Path:
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


def _descriptions(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() in (".yaml", ".yml") and _is_data(path) else []
    if not path.is_dir():
        return []
    return [file for file in sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if _is_data(file)]


def _names_file(folder: Path) -> Path | None:
    told = (folder / "classes.txt", *sorted(folder.glob("*.names")), folder / "labels/classes.txt")
    return next((file for file in told if file.is_file()), None)


def _is_data(path: Path) -> bool:
    try:
        content = _load(path)
    except ValueError:
        return path.stem == "data"  # by its name it should be, and the reader says what is wrong
    return isinstance(content, dict) and "names" in content and bool(_subsets(content, path))


def _subsets(content: Mapping[str, Any], file: Path) -> dict[str, list[str]]:
    """Returns the entries of each subset: known by their name, or because their path is there."""
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


def _load(path: Path) -> Any:
    return documents.from_yaml(documents.read_text(path), source=str(path))


def _described(file: Path, subset: str) -> Tree:
    """Returns what a `data.yaml` says, of a subset or of all."""
    content = _load(file)
    names = _class_names(content, file)
    told = _subsets(content, file)
    start = str(content.get("path") or "")
    entries = {one: told[one] for one in chosen(subset, told, where=str(file))}
    points = _point_values(content.get("kpt_shape"), file)
    tree = Tree(file, file.parent, names, entries, start, point_values=points)
    if subset or len(entries) < 2:
        return tree
    notes = []
    for one in [one for one in entries if not one.lower().startswith("train")]:
        try:
            for entry in entries[one]:
                _place(tree, entry)
        except WrongTree:
            notes.append(
                f"{one} of {file.name} is {', '.join(entries.pop(one))}, which is not there"
            )
    return tree._replace(notes=tuple(notes))


def _point_values(shape: Any, file: Path) -> int:
    """Returns how many values `kpt_shape` puts behind a box; 0 where there is none."""
    if shape is None:
        return 0
    whole = isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)
    if not (whole and shape[0] >= 1 and shape[1] in (2, 3)):
        raise ValueError(f"{file}: kpt_shape is {shape!r}, expected [number of points, 2 or 3]")
    return shape[0] * shape[1]


def _class_names(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    """Returns the name of each class number, which need not be without gaps."""
    names = content["names"]
    if isinstance(names, list):
        names = dict(enumerate(names))
    if isinstance(names, dict) and all(
        str(key).isdecimal() and isinstance(name, str) for key, name in names.items()
    ):
        return {int(key): names[key] for key in sorted(names, key=int)}
    raise ValueError(f"{path}: names is {names!r}, expected a list, or numbers with names")


def _lines(file: Path) -> list[str]:
    return label_map.lines(documents.read_text(file))


def _walk(folder: Path, suffixes: Iterable[str]) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if file.suffix.lower() in suffixes and not file.name.startswith("."):
            yield file
