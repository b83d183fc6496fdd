"""Where a YOLO data set has its class names, its images and their label files.

With `data.yaml`, as Ultralytics and Roboflow write it; or without, as labelImg, Label Studio and
CVAT do: `classes.txt` or `obj.names` with the class names, a line each, and images anywhere below.

Source: https://docs.ultralytics.com/datasets/detect/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lstd import documents, label_map
from lstd.data.readers import natural
from lstd.data.readers.options import Options, WrongTree

TREE = """\
data.yaml with names, and train and val such as images/train
images/train/street/0001.jpg ...
labels/train/street/0001.txt ..., the same folders; or each text file beside its image
without data.yaml: classes.txt or obj.names, one class a line; or --format yolo --label_map FILE"""

SUBSETS = ("train", "val", "test")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class Tree(NamedTuple):
    """What a data set says about itself.

    Attributes:
        file: what says so; paths in messages start from it.
        names: number -> name of each class; numbers may have gaps.
        entries: subset -> folders of images, or text files that list them.
        start: folder that the entries may start from, beside that of the file.
    """

    file: Path
    names: Mapping[int, str]
    entries: Mapping[str, Sequence[str]]
    start: str


def matches(path: Path) -> bool:
    """Whether this is a `data.yaml`, a folder with one, or one with names and labelled images."""
    if _descriptions(path):
        return True
    if not path.is_dir() or _names_file(path) is None:
        return False
    return any(label_file(image).exists() for image in _walk(path))


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
    if options.subset:
        raise ValueError(f"{path}: there is no data.yaml, which would say what is {options.subset}")
    file = _names_file(path)
    names = list(options.labels) if file is None else _lines(file)
    if not names:
        what = "neither data.yaml nor classes.txt" if file is None else f"no name in {file.name}"
        raise WrongTree(f"{path}: {what}; expected\n{TREE}")
    entry = "images" if (path / "images").is_dir() else "."
    return Tree(file or path / "classes.txt", dict(enumerate(names)), {"": (entry,)}, "")


def images(tree: Tree, entry: str) -> tuple[Path, list[Path]]:
    """Returns the folder of an entry, and its images in natural order.

    Raises:
        WrongTree: the entry is in none of the places where tools put it.
    """
    root = tree.file.parent
    places = [root / tree.start / entry, root / entry]
    places.append(root / entry.lstrip("./"))  # as some tools write: ../train/images
    place = next((place for place in places if place.exists()), None)
    if place is None:
        looked = ", ".join(str(place) for place in dict.fromkeys(places))
        raise WrongTree(f"{tree.file}: {entry} is not there; looked for {looked}; expected\n{TREE}")
    if place.is_file():
        lines = documents.read_text(place).split("\n")
        return root, [_listed(line.strip(), place, root) for line in lines if line.strip()]
    return place, sorted(_walk(place), key=lambda file: natural.key(str(file)))


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
    names = sorted(folder.glob("*.names"))
    return next((file for file in (folder / "classes.txt", *names) if file.is_file()), None)


def _is_data(path: Path) -> bool:
    try:
        content = _load(path)
    except ValueError:
        return path.stem == "data"  # by its name it should be, and the reader says what is wrong
    return (
        isinstance(content, dict)
        and "names" in content
        and any(subset in content for subset in SUBSETS)
    )


def _load(path: Path) -> Any:
    return documents.from_yaml(documents.read_text(path), source=str(path))


def _described(file: Path, subset: str) -> Tree:
    """Returns what a `data.yaml` says, of a subset or of all."""
    content = _load(file)
    names = _class_names(content, file)
    known = [one for one in SUBSETS if content.get(one)]
    if subset and subset not in content:
        raise ValueError(f"{file}: there is no subset {subset!r}; it has {', '.join(known)}")
    entries = {
        one: [str(entry) for entry in (said if isinstance(said, list) else [said])]
        for one in ([subset] if subset else known)
        for said in [content[one]]
    }
    return Tree(file, names, entries, str(content.get("path") or ""))


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


def _walk(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if file.suffix.lower() in _SUFFIXES and not file.name.startswith("."):
            yield file


def _listed(line: str, listing: Path, root: Path) -> Path:
    """Returns an image of a list; it is told from the list, or from the root."""
    own = listing.parent / line
    return own if line.startswith("./") or own.exists() else root / line
