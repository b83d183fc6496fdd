"""What can be wrong with a data set, and the answer to each problem: error, repair or skip."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from lstd.base import label_map
from lstd.base.close_names import close_match

Answer = Literal["error", "repair", "skip"]
Policy = Mapping[str, Answer]
"""The answer to every kind of problem; made by `policy`."""


class Kind(NamedTuple):
    """A kind of problem; `repair` and `skip` say what these do, and are empty where they cannot."""

    meaning: str
    default: Answer
    repair: str
    skip: str

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers that this kind has."""
        return ("error", *["repair"] * bool(self.repair), *["skip"] * bool(self.skip))


_BOX = "the box is left out"
_FRAME = "the frame is left out, its neighbours follow one another"
_REPEAT = "the nearest good frame, the one before if there is one, is shown again with its boxes"

KINDS: Mapping[str, Kind] = {
    "box_not_a_number": Kind("a side of a box is not a finite number", "error", "", _BOX),
    "box_inverted": Kind(
        "ymin is above ymax, or xmin above xmax", "error", "the two sides change places", _BOX
    ),
    "box_empty": Kind("a box has no height or no width", "error", "", _BOX),
    "box_outside": Kind("a box lies outside the frame altogether", "error", "", _BOX),
    "box_beyond_edge": Kind(
        "a box reaches beyond the edge of the frame", "repair", "it is cut at the edge", _BOX
    ),
    "unknown_class": Kind("the class of a box is not among the labels", "error", "", _BOX),
    "doubled_track": Kind(
        "two boxes of a frame have the same track id",
        "error",
        "the later ones lose their track id",
        _BOX,
    ),
    "too_many_boxes": Kind(
        "a frame has more boxes than max_boxes", "error", "", "those beyond the limit are left out"
    ),
    "missing_frame": Kind("a labelled frame is not there", "error", _REPEAT, _FRAME),
    "corrupt_image": Kind("an image cannot be decoded", "error", _REPEAT, _FRAME),
    "frame_size": Kind(
        "the frames of a video differ in size", "error", "scaled to the first frame's size", _FRAME
    ),
    "empty_video": Kind("a video has no frames", "error", "", "the video is left out"),
    "doubled_video": Kind(
        "two videos have the same name",
        "error",
        "the later ones get ~2, ~3 and so on appended",
        "the later ones are left out",
    ),
    "unreadable": Kind("a file cannot be read as its format says", "error", "", ""),
    "damaged_record": Kind(
        "a record of a TFRecord file is damaged or cut off",
        "error",
        "",
        "the record is left out, and all that follow it where the file cannot be read on",
    ),
}

OF_FRAMES = ("missing_frame", "corrupt_image", "frame_size")
"""The kinds that only the images tell."""


class ProblemError(ValueError):
    """A problem of a kind of `KINDS` whose answer is error; the message names file and frame."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message

    def __str__(self) -> str:
        """Returns the message, with the answers that would go on."""
        others = [answer for answer in KINDS[self.kind].answers if answer != "error"]
        return f"{self.message} (problem {self.kind}; {' or '.join(others)} would go on)"


class Report:
    """Counts problems by kind and answer, and keeps so many places of each kind; None: all."""

    def __init__(self, examples: int | None = 3) -> None:
        self.counts: collections.Counter[tuple[str, Answer]] = collections.Counter()
        self.examples: dict[str, list[str]] = {}
        self._limit = examples

    def __bool__(self) -> bool:
        return bool(self.counts)

    @classmethod
    def of_index(cls, entry: Mapping[str, Any]) -> Report:
        """Returns the problems that an index, or the entry of a shard, counts."""
        report = cls()
        for name, count in entry["problems"].items():
            kind, _, answer = name.partition("=")
            report.counts[kind, answer] += count
        report.examples = {kind: [*places] for kind, places in entry["examples"].items()}
        return report

    def as_index(self) -> dict[str, Any]:
        """Returns counts, by `kind=answer`, and examples, as `of_index` reads them."""
        counts = {f"{kind}={answer}": n for (kind, answer), n in sorted(self.counts.items())}
        return {"problems": counts, "examples": self.examples}

    def add(self, kind: str, answer: Answer, message: str, *, count: int = 1) -> None:
        """Counts a problem that was answered."""
        self.counts[kind, answer] += count
        places = self.examples.setdefault(kind, [])
        if self._limit is None or len(places) < self._limit:
            places.append(message)

    def merge(self, other: Report) -> None:
        """Adds the counts of another report, and its examples after our own."""
        self.counts.update(other.counts)
        for kind, places in other.examples.items():
            own = self.examples.setdefault(kind, [])
            own.extend(places if self._limit is None else places[: self._limit - len(own)])

    def lines(self) -> list[str]:
        """Returns one line for each kind and answer, followed by its examples."""
        result = []
        for kind in KINDS:
            answers = {a: n for (name, a), n in sorted(self.counts.items()) if name == kind}
            if not answers:
                continue
            told = ", ".join(f"{n} x {answer}" for answer, n in answers.items())
            places = self.examples.get(kind, [])
            result.append(f"{kind}: {told} ({KINDS[kind].meaning})")
            result += [f"  {label_map.shown(place)}" for place in places]
            rest = sum(answers.values()) - len(places)
            if rest > 0 and places:
                result.append(f"  and {rest} more")
        return result


def policy(answers: Mapping[str, str] | Iterable[str] = (), *, default: str = "") -> Policy:
    """Returns the answer to every kind.

    Args:
        answers: kind -> answer, or texts `kind=answer`, as a command line has them.
        default: the answer to kinds that are not named, where they have it; empty: each its own.

    Raises:
        ValueError: an unknown kind or answer, or an answer that the kind does not have.
    """
    if not isinstance(answers, Mapping):
        pairs = [text.partition("=") for text in answers]
        if wrong := [name for name, equals, _ in pairs if not equals]:
            raise ValueError(f"{wrong[0]!r} is not problem=answer, such as box_inverted=repair")
        answers = {name.strip(): answer.strip() for name, _, answer in pairs}
    if default not in ("", "error", "repair", "skip"):
        raise ValueError(f"{default!r} is no answer to problems; expected error, repair or skip")
    for name, answer in answers.items():
        if name not in KINDS:
            raise ValueError(f"unknown problem {name!r}{close_match(name, KINDS)}")
        if answer not in KINDS[name].answers:
            raise ValueError(
                f"{answer!r} is no answer to problem {name}; expected "
                f"{' or '.join(KINDS[name].answers)}"
            )
    chosen = {
        name: default if default in kind.answers else kind.default for name, kind in KINDS.items()
    }
    return {**chosen, **answers}


class Checks:
    """What becomes of problems: the answers to them, and the report that counts them.

    Of a frame's boxes the first `max_boxes` are kept; 0: all.
    """

    def __init__(self, policy: Policy, report: Report | None = None, *, max_boxes: int = 0) -> None:
        self.policy, self.max_boxes = policy, max_boxes
        self.report = Report() if report is None else report

    def meet(self, kind: str, message: str, *, count: int = 1) -> Answer:
        """Returns the answer to a problem, after counting it in the report; `count` boxes.

        Raises:
            ProblemError: the answer is error.
        """
        answer = self.policy[kind]
        if answer == "error":
            raise ProblemError(kind, message)
        self.report.add(kind, answer, message, count=count)
        return answer
