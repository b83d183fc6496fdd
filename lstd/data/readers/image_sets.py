"""Videos made of images that are labelled one by one, grouped by their names or by the labels."""

import collections
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from lstd.data.readers import frame_names, frame_pictures, label_files
from lstd.data.readers.frame_names import Group
from lstd.data.readers.frame_pictures import Pictures
from lstd.data.readers.label_files import Options
from lstd.data.readers.labelled_video import Classes, LabelledVideo, Labels

_FRAME_OF_FILM = re.compile(r"^(.+\.\w+)#(\d+)$")


class Shot(NamedTuple):
    """An image; the name `street.avi#12` means frame 12, counted from 0, of a video file."""

    name: str  # with the folders that tell videos apart
    labels: Labels | str  # or the file with them, see `LabelledVideo`
    places: tuple[Path, ...]  # folders that the name may start from
    where: str  # the file or folder that says so
    part: str = ""  # the subset that it was dealt to


def places(options: Options, usual: Sequence[Path], *inner: str) -> tuple[Path, ...]:
    """Returns where pictures may be: the usual places, or `Options.images` and folders in it."""
    given = Path(options.images)
    if not options.images:
        return tuple(usual)
    if given.is_file():
        return (given.parent,)
    return (given, *(given / name for name in inner if name and (given / name).is_dir()))


def grouped(
    shots: Sequence[Shot], options: Options, titles: Mapping[str, str] = MappingProxyType({})
) -> list[Group]:
    """Returns the videos that images are frames of, according to `options` and their names.

    Each is one with `stills`; all are of one where `images` is a video file; see `frame_names`,
    also for `titles` and the errors.
    """
    names = [_FRAME_OF_FILM.sub(r"\1/\2", shot.name) for shot in shots]
    if options.stills:
        return [Group(frame_names.SUFFIX.sub("", n), (place,)) for place, n in enumerate(names)]
    film = Path(options.images)
    if names and film.is_file():
        return [Group(film.name, frame_names.order(names) or range(len(names)))]
    parts = [shot.part for shot in shots]
    return frame_names.group(
        names, where=options.where, folders=options.folders, parts=parts, titles=titles
    )


def note_names(groups: Sequence[Group], options: Options) -> None:
    """Notes how videos were grouped by name."""
    options.notes.extend(
        f"the names of the images of {group.name} say no order; that of the labels is taken"
        for group in groups
        if not group.ordered
    )
    if options.stills or options.folders or Path(options.images).is_file():
        return
    what = f"the images are taken for {len(groups)} videos, by their names"
    if len(groups) > 1 and all(len(group.places) == 1 for group in groups):
        what = "every image is a video of its own"
    options.notes.append(
        f"{what}; if they are single images, say so with stills, if each folder of them is a "
        "video, say so with folders"
    )


def by_names(
    shots: Sequence[Shot],
    classes: Classes,
    options: Options,
    titles: Mapping[str, str] = MappingProxyType({}),
    **rest: Any,
) -> list[LabelledVideo]:
    """Returns the videos that names make; see `grouped` and `videos`, also for the errors."""
    groups = grouped(shots, options, titles)
    note_names(groups, options)
    return videos(shots, groups, classes, options, **rest)


def are_of_videos(shots: Sequence[Shot], places: Sequence[int]) -> bool:
    """Whether the names of all these shots look like frames of video files."""
    names = (shots[place].name for place in places)
    return frame_names.are_of_videos([name for name in names if not _FRAME_OF_FILM.match(name)])


def videos(
    shots: Sequence[Shot], groups: Sequence[Group], classes: Classes, options: Options, **rest: Any
) -> list[LabelledVideo]:
    """Returns the videos of groups of images; raises as `finder` and `named_frames` of pictures.

    `rest` are attributes of `LabelledVideo`. Without a word it has tracks if any box has one.
    """
    together = collections.defaultdict(list)
    for shot in shots:
        together[shot.places].append(shot)

    @functools.cache  # Not at once: where there is a video file, no picture is looked for.
    def finder(places: tuple[Path, ...]) -> frame_pictures.Finder:
        names = [_FRAME_OF_FILM.sub(r"\1", shot.name) for shot in together[places]]
        found = frame_pictures.finder(names, places, where=together[places][0].where)
        options.notes.extend(found.told(names[0]))
        return found

    def item(shot: Shot) -> str | tuple[str, int]:
        find, said = finder(shot.places), _FRAME_OF_FILM.match(shot.name)
        film = find.find(said.group(1)) if said else None
        if said and film and film.is_file():
            what = f"{shot.where}: frame of {film.name}"
            return str(film), label_files.frame(said.group(2), what)
        return str(find(shot.name))

    def shown(title: str, own: Sequence[Shot]) -> Pictures:
        film = frame_pictures.film_of(options, title, alone=len(groups) == 1)
        if film:  # The names may say which frame of which file.
            said = [_FRAME_OF_FILM.match(shot.name) for shot in own]
            files = {film.parent / found.group(1) for found in said if found}
            if not all(said) or not all(file.is_file() for file in files):
                names = [shot.name for shot in own]
                return frame_pictures.named_frames(film, names, where=own[0].where)
        return frame_pictures.of(map(item, own))

    told = [shot.labels.boxes for shot in shots if isinstance(shot.labels, Labels)]
    rest.setdefault("has_tracks", any(box.track >= 0 for boxes in told for box in boxes))
    result = []
    for title, members, _ in groups:
        own = [shots[place] for place in members]
        source = own[0].where if own else options.where
        frames = tuple(shot.labels for shot in own)
        result.append(LabelledVideo(title, source, shown(title, own), frames, classes, **rest))
    return result
