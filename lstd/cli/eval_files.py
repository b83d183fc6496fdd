"""`lstd-eval --detections`: what somebody's detector found is scored from a file."""

from __future__ import annotations

from typing import Any

from absl import flags

from lstd.cli import common, eval_numbers
from lstd.cli.eval_options import Options


def score_files(values: flags.FlagValues, options: Options) -> None:
    """Scores somebody's detections; writes and prints the numbers."""
    from lstd.evaluation import bootstrap, coco_files

    truth = common.existing_file(values.annotations, flag="--annotations")
    annotations = coco_files.read_annotations(truth)
    fps = options.fps or annotations.fps
    schedule = options.schedules[0] if options.schedules else None
    if values.against:
        bootstrap.units_of(list(annotations.ground_truth), fps=fps)  # refuses too little data
    output = values.output_directory and common.writable_directory(values.output_directory)
    found = _read(values.detections, "--detections", annotations)
    other = _read(values.against, "--against", annotations) if values.against else None
    factories = options.factories(fps=fps, schedule=schedule)
    metrics = _scored(found, annotations, factories)
    numbers: dict[str, float] = {"frames": len(annotations.ground_truth)}
    for metric in metrics:
        numbers.update(metric.result())
    names = [schedule or "detections"]
    eval_numbers.print_numbers(numbers, names)
    if other is not None:
        theirs = _scored(other, annotations, factories)
        compared = eval_numbers.compare(
            {names[0]: metrics}, {names[0]: theirs}, fps=fps, draws=values.draws
        )
        if output:
            eval_numbers.save_comparison(output, compared, values.against)
    if output:
        facts = {"detections": values.detections, "annotations": values.annotations}
        paths = eval_numbers.save_numbers(output, numbers, names, facts)
        print(f"{numbers['frames']:.0f} frames; written: {', '.join(map(str, paths))}")


def _read(path: str, flag: str, annotations: Any) -> Any:
    from lstd.evaluation import coco_files

    return coco_files.read_detections(common.existing_file(path, flag=flag), annotations)


def _scored(found: Any, annotations: Any, factories: list[Any]) -> list[Any]:
    metrics = [make(annotations.labels) for make in factories]
    for frame, true in annotations.ground_truth.items():
        for metric in metrics:
            metric.add(frame, true, found.get(frame))
    return metrics
