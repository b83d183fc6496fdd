"""What the verbs of `lstd-data` do; `lstd.cli.data` has their flags and help."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from lstd.base import documents, label_map
from lstd.base.progress import Progress
from lstd.base.whole_file import is_stream, whole_file, write_whole
from lstd.cli import common
from lstd.config import config_io
from lstd.data import convert, inspect, problems, readers, source_checks, sources, synthesize
from lstd.data.problems import Checks, Policy, Report
from lstd.data.shard_files import Plan, Settings
from lstd.data.sources import Excerpt, Source, SourceVideo
from lstd.media import optional


def _inspect(values: flags.FlagValues) -> None:
    sheet = common.file_to_write(values.output, flag="--output") if values.output else None
    if sheet is not None and sheet.suffix.lower() != ".png" and not is_stream(sheet):
        raise ValueError(f"--output: {sheet} must end in .png")
    model = common.config_of(values).model
    source = _source_of(values, skip_damaged=True)
    with Progress("reading labels", unit="frames") as report:
        found = inspect.inspect(source, on_frames=report.advance)
    print("\n".join(inspect.lines(found, model)))
    if settings := inspect.settings_note(found):
        print(f"in a config: {settings}")
    if sheet is not None:
        picture = optional.load("PIL.Image").fromarray(inspect.sheet(found, count=values.frames))
        with whole_file(sheet) as temporary:
            picture.save(temporary, format="PNG")
        print(f"written: {sheet}")


def _validate(values: flags.FlagValues) -> int:
    policy = _policy_of(values)
    source = _source_of(values, skip_damaged=True)
    with Progress("checking", unit="frames") as progress:
        report = inspect.validate(
            source,
            policy=policy,
            images=values.check_images,
            max_boxes=values.max_boxes,
            examples=values.examples or None,
            on_frames=progress.advance,
        )
    print("\n".join(report.lines()))
    errors = sum(n for (_, answer), n in report.counts.items() if answer == "error")
    others = sum(report.counts.values()) - errors
    print(f"{errors} problems that are errors, {others} that would be repaired or skipped")
    return 1 if errors else 0


def _convert(values: flags.FlagValues) -> None:
    source = _source_of(values)
    if not values.beam:
        _write(source, values.output_directory, values, prefix=values.prefix)
        return
    if values.resume:
        raise ValueError("--resume is not for --beam: a pipeline is run again as a whole")
    settings = _settings_of(values, prefix=values.prefix)
    index = convert.convert_by_beam(source, values.output_directory, settings, values.beam)
    _print_index(index, values.output_directory)


def _split(values: flags.FlagValues) -> None:
    shares = convert.shares_of(values.parts)
    source = _source_of(values)
    if not values.lists_only:  # before the lists are there, not in the midst of a part
        source_checks.usable_videos(source, Checks(_policy_of(values)))
    parts = convert.split(source.videos, shares, seed=values.seed)
    cut = [v for videos in parts.values() for v in videos if isinstance(v, Excerpt)]
    for piece in cut:
        print(f"{piece.name}: frames {piece.start} to {piece.stop - 1} of {piece.video.name}")
    if cut:
        print(
            "fewer videos than parts, so that each is cut in time; frames between the pieces are "
            "left out. All parts show the same scene: a score says little about any other"
        )
    if cut and values.lists_only:
        raise ValueError("--lists_only: a list holds whole videos, and here they have to be cut")
    folder = common.writable_directory(values.output_directory)
    anew = any(convert.is_given_up(folder / part) for part in parts) and not values.resume
    _write_lists(folder, parts, resume=values.resume, anew=anew)
    if values.lists_only:
        return
    begun: list[Path] = []
    for part, videos in parts.items():
        begun.append(folder / part)
        try:
            chosen = source._replace(videos=tuple(videos))
            _write(chosen, str(folder / part), values, prefix=part)
        except ValueError:
            if not values.resume or convert.is_given_up(folder / part):
                for each in begun:  # All of them begin anew, or go on.
                    convert.give_up(each)
            raise


def _write_lists(
    folder: Path, parts: Mapping[str, Sequence[SourceVideo]], *, resume: bool, anew: bool
) -> None:
    """Writes the names of the videos in each part, unless others stand there."""
    names_of = {part: dict.fromkeys(v.name for v in videos) for part, videos in parts.items()}
    broken = [name for names in names_of.values() for name in names if "\n" in name]
    if broken:
        raise ValueError(f"the name of video {broken[0]!r} holds a line break; rename it")
    texts = {
        folder / f"{part}.txt": "".join(f"{name}\n" for name in names)
        for part, names in names_of.items()
    }
    for path, text in texts.items():
        if anew or not path.exists():
            continue
        if not resume:
            raise FileExistsError(
                f"{path} is there already: --resume goes on with it, or name another folder"
            )
        if documents.read_text(path) != text:
            raise ValueError(
                f"{path}: what is there was divided in another way; go on as it began, or name "
                "another folder"
            )
    for path, text in texts.items():
        write_whole(path, text)
        print(f"{path.stem}: {text.count(chr(10))} videos, {path}")


def _synthesize(values: flags.FlagValues) -> None:
    names = [field.name for field in dataclasses.fields(synthesize.Scene)]
    given: dict[str, Any] = {name: values[name].value for name in names}
    given["shapes"] = tuple(shape for shape in given["shapes"] if shape)
    made = synthesize.source(synthesize.Scene(**given))
    if values.output_format == "shards":
        _write(made, values.output_directory, values, prefix=values.prefix)
        return
    used = {*names, "output_directory", "output_format", "resume"}
    vain = [f"--{name}" for name in sorted(values) if values[name].present and name not in used]
    if vain:
        raise ValueError(f"{' and '.join(vain)} means nothing for --output_format=frames")
    folder = common.writable_directory(values.output_directory)
    if any(folder.iterdir()) and not values.resume:
        raise ValueError(f"--output_directory: {folder} is not empty; name another folder")
    synthesize.write_folders(made, folder)
    print(f"written: {folder}: {len(made.videos)} videos; classes {', '.join(made.labels)}")


def _config_to_yaml(values: flags.FlagValues) -> None:
    config = common.config_of(values)
    output = Path(values.output)
    if output.is_dir():
        raise ValueError(f"--output: {output} is a folder; name the YAML file")
    config_io.save_config(config, output)
    print(f"written: {output}")


def _source_of(values: flags.FlagValues, *, skip_damaged: bool | None = None) -> Source:
    """Returns the data set of the flags, after printing which videos it was taken for.

    Damaged records are left out, and listed in `Source.damaged`; None: if that is their answer.
    """
    if skip_damaged is None:
        skip_damaged = _policy_of(values)["damaged_record"] == "skip"
    names = ("format", "subset", "images", "stills", "folders")
    choices: dict[str, Any] = {name: values[name].value for name in names}
    labels = label_map.load(values.label_map) if values.label_map else ()
    source = readers.open(values.input, labels=labels, skip_damaged=skip_damaged, **choices)
    if values.videos:
        path = common.existing_file(values.videos, flag="--videos")
        lines = documents.read_text(path).split("\n")
        wanted = [line.strip() for line in lines if line.strip()]
        if not wanted:
            raise ValueError(f"--videos: {path} names no video; one a line is expected")
        source = source_checks.select(source, wanted)
    for line in (sources.summary(source), *source.notes):
        print(label_map.shown(line))
    return source


def _policy_of(values: flags.FlagValues) -> Policy:
    policy = problems.policy(values.on_problem, default=values.problems)
    kinds = [text.partition("=")[0].strip() for text in values.on_problem]
    if not values.max_boxes and "too_many_boxes" in kinds:
        raise ValueError(
            "--on_problem: too_many_boxes means nothing without --max_boxes, which says how many "
            "are too many"
        )
    return policy


def _settings_of(values: flags.FlagValues, *, prefix: str) -> Settings:
    names = ("image_format", "quality", "frames_per_record", "frames_per_shard", "max_boxes")
    given: dict[str, Any] = {name: values[name].value for name in names}
    settings = Settings(prefix=prefix, policy=_policy_of(values), **given)
    settings.check()
    return settings


def _write(source: Source, directory: str, values: flags.FlagValues, *, prefix: str) -> None:
    """Converts with a line of progress, and prints what was written."""
    report = Progress("converting", unit="frames")
    settings = _settings_of(values, prefix=prefix)  # before a folder is made

    def start(plan: Plan, done: int) -> None:
        nonlocal report
        report = Progress("converting", total=plan.frames, unit="frames", done=done)

    index = convert.convert(
        source,
        common.writable_directory(directory),
        settings,
        workers=values.workers,
        resume=values.resume,
        on_start=start,
        on_frames=lambda count: report.advance(count),
    )
    report.close()
    _print_index(index, directory)


def _print_index(index: dict[str, Any], directory: str) -> None:
    print(
        f"written: {directory}: {len(index['videos'])} videos, {index['frames']} frames, "
        f"{index['boxes']} boxes in {len(index['shards'])} files; "
        f"{len(index['labels'])} classes in labels.txt"
    )
    for line in Report.of_index(index).lines():
        print(line)


VERBS: dict[str, Callable[[flags.FlagValues], int | None]] = {
    "inspect": _inspect,
    "validate": _validate,
    "convert": _convert,
    "split": _split,
    "synthesize": _synthesize,
    "config-to-yaml": _config_to_yaml,
}
"""Verb -> what runs."""
