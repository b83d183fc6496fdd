"""Finds every problem of a data set, and says with its exit code whether convert would go through.

Exit code 0: there is no problem, or only such as --on_problem and --problems answer with repair or
skip; 1: there is one whose answer is error; 2: the data set cannot be read at all.

Example:
  lstd-data validate --input my_data
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from lstd.cli import common, data_source


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code of `lstd-data validate`."""
    values = flags.FlagValues()
    data_source.define(values)
    flags.DEFINE_bool("check_images", True, "Decode every image.", flag_values=values)
    flags.DEFINE_integer(
        "examples",
        20,
        "Places shown for each kind of problem; 0: all.",
        lower_bound=0,
        flag_values=values,
    )
    return common.run(
        _validate,
        values,
        program="lstd-data validate",
        description=__doc__,
        required=["input"],
        argv=arguments,
    )


def _validate(values: flags.FlagValues) -> int:
    from lstd.data import validate

    policy = data_source.policy_of(values)
    source = data_source.source_of(values, skip_damaged=True)
    with common.Progress("checking", unit="frames") as progress:
        report = validate.validate(
            source,
            policy=policy,
            images=values.check_images,
            max_boxes=values.max_boxes,
            examples=values.examples or None,
            on_frames=lambda count: progress.advance(count),
        )
    data_source.print_report(report)
    errors = sum(n for (_, answer), n in report.counts.items() if answer == "error")
    others = sum(report.counts.values()) - errors
    print(f"{errors} problems that are errors, {others} that would be repaired or skipped")
    return 1 if errors else 0
