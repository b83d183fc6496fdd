"""Decides by their names which images are frames of one video, and in which order.

Exporters change names, which is undone here: Roboflow makes `street_mp4-0012.jpg` into
`street_mp4-0012_jpg.rf.HASH.jpg` and deals the frames of a video to `train`, `valid` and `test`;
Label Studio puts eight random hexadecimal digits and `-` before the name of a file. CVAT counts the
frames of each task from 0: those of further tasks in a project's subset are `frame_000000_1` and so
on, and subsets have frames of one name.
"""

import collections
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from lstd.base import natural

SUFFIX = re.compile(r"\.(jpe?g|png|bmp|webp|tiff?|txt|xml|json)$", re.IGNORECASE)
_ROBOFLOW = re.compile(r"_(jpe?g|png|bmp|webp|tiff?)\.rf\.\w+$", re.IGNORECASE)
_LABEL_STUDIO = re.compile(r"[0-9a-f]{8}-(?=.)")
_NUMBER = re.compile(
    r"[\s_.#-]*(\d{4}-\d\d-\d\d[\sT_-]\d\d([-_.:])\d\d\2\d\d|\d{1,18})$"  # a time is one number
)
_CVAT = re.compile(r"(^|/)frame_\d{6}$")
_CVAT_TASK = re.compile(r"(?:^|(?<=/))(frame_\d{6})_(\d+)$")
_OF_VIDEO = re.compile(r"(_(mp4|avi|mov|mkv|webm|m4v|mpe?g|ts|wmv)-\d+|(^|/)frame_\d{6})$", re.I)


class Group(NamedTuple):
    """A video: its name, the places of its frames in a list, and whether names gave the order."""

    name: str
    places: Sequence[int]
    ordered: bool = True


def plain(names: Sequence[str]) -> list[str]:
    """Returns names with their folders, but without suffixes and what exporters added.

    Label Studio's digits are taken off where all names of a folder have some, no two the same.

    >>> plain(["train/a_mp4-0007_jpg.rf.0f3c.jpg", "1f3a9c0d-x1.png", "77e0b1a2-x2.png"])
    ['train/a_mp4-0007', 'x1', 'x2']
    >>> plain(["frame_000012_1.PNG"])  # of another task
    ['task_1/frame_000012']
    """
    bare = [_ROBOFLOW.sub("", SUFFIX.sub("", name)) for name in names]
    split = [_CVAT_TASK.sub(r"task_\2/\1", name).rpartition("/") for name in bare]
    found = collections.defaultdict(list)
    for folder, _, own in split:
        digits = _LABEL_STUDIO.match(own)
        found[folder].append(digits.group() if digits else "")
    random = {
        folder
        for folder, digits in found.items()
        if all(digits) and len({*digits}) == len(digits) and not "".join(digits).isdecimal()
    }
    return [
        folder + slash + (_LABEL_STUDIO.sub("", own, count=1) if folder in random else own)
        for folder, slash, own in split
    ]


def number(name: str) -> int | None:
    """Returns the number that a plain name ends in, if any.

    >>> number("street_0012"), number("cam_2024-05-01_12-30-59")
    (12, 20240501123059)
    """
    found = _NUMBER.search(name)
    return int(re.sub(r"\D", "", found.group(1))) if found else None


def are_of_videos(names: Sequence[str]) -> bool:
    """Whether names are those that Roboflow, CVAT or Label Studio give to frames.

    >>> are_of_videos(["frame_000012.PNG"]), are_of_videos(["1f3a9c0d-x1.png"])
    (True, True)
    >>> are_of_videos(["000000581781.jpg"]), are_of_videos(["1f3a9c0d-image.jpg"])
    (False, False)
    """
    for name, said in zip(names, plain(names), strict=True):
        of_label_studio = not name.rpartition("/")[2].startswith(said.rpartition("/")[2])
        if not _OF_VIDEO.search(said) and not (of_label_studio and number(said) is not None):
            return False
    return True


def group(
    names: Sequence[str],
    *,
    where: str,
    folders: bool = False,
    parts: Sequence[str] = (),
    titles: Mapping[str, str] = MappingProxyType({}),
) -> list[Group]:
    """Returns the videos that images are frames of, in the order of their first images.

    Images of a folder are of one video if their plain names differ in the last number only; with
    `folders` all are, but for frames that Roboflow has named. A video whose frames were dealt to
    several subsets (`parts`, one for each image) is put together again; one that has a frame in two
    of them stays in parts of the same name, or CVAT's under the names of the subsets. A video whose
    name says nothing has the title of its subset, or is "images". Raises ValueError if names have
    two readings.
    """
    said = plain(names)
    found: dict[tuple[str, str], list[int]] = {}
    for place, (name, part) in enumerate(zip(said, parts or [""] * len(names), strict=True)):
        apart = not folders or (_OF_VIDEO.search(name) and ".rf." in names[place])
        if apart and number(name) is None and ".rf." not in names[place]:
            name = SUFFIX.sub("", names[place])  # two of Label Studio's `image.jpg` are apart
        video = _shared(name) if apart else name.rpartition("/")[0]
        found.setdefault((video or titles.get(part, "images"), part), []).append(place)
    joined: dict[tuple[str, str], list[int]] = {}
    for (video, part), places in found.items():
        if folders:
            _check_one_video([said[place] for place in places], f"{where}: {video}")
        first = joined.setdefault((video, ""), [])
        if {said[place] for place in first}.isdisjoint(said[place] for place in places):
            first.extend(places)
        else:
            of_cvat = part and _CVAT.search(said[places[0]])
            joined[f"{part}/{video}" if of_cvat else video, part] = places
    result = []
    for (video, _), places in joined.items():
        own = [names[place] for place in places]
        in_order = order(own, [said[place] for place in places])
        ordered = places if in_order is None else [places[n] for n in in_order]
        result.append(Group(video, ordered, in_order is not None))
        _check_frames([(said[place], names[place]) for place in places], where=where)
    return result


def order(names: Sequence[str], said: Sequence[str] = ()) -> list[int] | None:
    """Returns the places of names in the order of their numbers; None if they have no order.

    They say one if what they all begin with is followed by a number, as in `hive_2_ff0`; `said`
    are the same names, plain, if that is known.
    """
    said = said or plain(names)
    shared = os.path.commonprefix([*said]).rstrip("0123456789")  # noqa: RUF071 these are texts
    if len(said) > 1 and not all(re.match(r"\d", name[len(shared) :]) for name in said):
        return None
    return sorted(range(len(said)), key=lambda n: (natural.key(said[n]), natural.key(names[n])))


def _shared(name: str) -> str:
    """Returns what the names of a video's frames share, folder included, without a final "/"."""
    return _NUMBER.sub("", name).rstrip("/")


def _check_one_video(said: Sequence[str], where: str) -> None:
    numbers = collections.defaultdict(set)
    for name in said:
        numbers[_shared(name)].add(number(name))
    counted = collections.Counter(itertools.chain.from_iterable(numbers.values()))
    several = len(numbers) > 1 and min(map(len, numbers.values())) > 1
    if several and None not in counted and max(counted.values()) > 1:
        lengths = ", ".join(str(len(of_one)) for of_one in numbers.values())
        raise ValueError(
            f"{where}: by their names its images are {len(numbers)} videos of {lengths} frames, "
            f"such as {', '.join([*numbers][:3])}, and by folders one; leave folders out, or put "
            "each video into a folder of its own"
        )


def _check_frames(frames: Sequence[tuple[str, str]], *, where: str) -> None:
    """Raises if two names are the same, or differ only in what an exporter added."""
    for (said, one), (other_said, other) in itertools.pairwise(sorted(frames)):
        if one == other:
            raise ValueError(
                f"{where}: {one} is named twice; frames of two videos that are called the same "
                "belong into two data sets, and of one picture all boxes into one entry"
            )
        if said == other_said and SUFFIX.sub("", one) != SUFFIX.sub("", other):
            raise ValueError(
                f"{where}: {one} and {other} are the same frame by their names; two videos with "
                "names of the same kind belong into two folders, and of augmented images (as "
                "Roboflow makes) no video can be made: export them without, or say stills"
            )
