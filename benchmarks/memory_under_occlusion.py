"""AP50 on frames that hide an object: the same network with its memory and without it.

    python benchmarks/memory_under_occlusion.py [--seeds 0 1 2] [--steps 800] [--first_steps 700]

Circles move over smooth backgrounds, and in half of the frames a grey bar lies over a part of the
picture. The true boxes are those of the picture without the bar, so that what is hidden counts. For
each seed:

1. a network with one backbone learns to see, `--first_steps` steps of single frames without bars;
2. from these weights it is trained twice on the clips with bars, in the same order, `--steps` steps
   each, backbone frozen: with its memory, and with the state set to zero before every frame.

Test videos have another seed than those of training, and are run from first frame to last, the
network without memory again from zero at every frame. The last weights count. A frame is occluded
when a bar leaves less than a fifth of at least one object.

Prints AP50 on those frames and on the others, for each seed, and the mean difference with its 95 %
interval (Student's t over the seeds).
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import lstd
from lstd.config import config_io
from lstd.config.config import Config
from lstd.data import synthesize
from lstd.data.sources import Source, SourceFrame
from lstd.data.synthesize import Scene, SyntheticVideo
from lstd.fit.variables import names_of

SIZE = 128
TRAIN = Scene(
    videos=50,
    frames=40,
    height=SIZE,
    width=SIZE,
    objects=2,
    shapes=("circle",),
    min_size=0.25,
    max_size=0.4,
    speed=0.04,
    occlusion=0.5,
    min_bar=0.4,
    max_bar=0.6,
    seed=1,
)
TEST = dataclasses.replace(TRAIN, videos=25, seed=2)
SCENES = {"train": TRAIN, "open": dataclasses.replace(TRAIN, occlusion=0), "test": TEST}
LEAST_SEEN = 0.2
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Two-sided 95 % quantiles of Student's t for so many values."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--first_steps", type=int, default=700)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    occluded = occluded_frames()
    print(f"{len(occluded)} of {TEST.videos * TEST.frames} test frames are occluded", flush=True)
    differences: dict[str, list[float]] = {"occluded": [], "others": []}
    with tempfile.TemporaryDirectory() as folder:
        write_records(Path(folder))
        for seed in arguments.seeds:
            started = time.perf_counter()
            first = fitted(
                config_of(Path(folder), "open", steps=arguments.first_steps), seed, memory=False
            )
            weights = {name: np.asarray(v) for name, v in names_of(first).items()}
            config = config_of(Path(folder), "train", steps=arguments.steps)
            scores = {}
            for memory in (True, False):
                model = fitted(config, seed, memory=memory, weights=weights)
                scores[memory] = evaluate(model, config, occluded, memory=memory)
                print(f"seed {seed}, {'with' if memory else 'without'} memory: AP50 ", end="")
                print(*(f"{name} {100 * v:.1f}" for name, v in scores[memory].items()), sep=", ")
            print(f"seed {seed} took {time.perf_counter() - started:.0f} s", flush=True)
            for name, values in differences.items():
                values.append(100 * (scores[True][name] - scores[False][name]))
    for name, values in differences.items():
        print(f"with minus without, {name}: {summary(values)}")


def write_records(folder: Path) -> None:
    """Writes the records of all scenes."""
    from lstd.data import convert
    from lstd.data.convert import Settings

    for name, scene in SCENES.items():
        convert.convert(hiding(scene), folder / name, Settings(image_format="png"))


def config_of(folder: Path, scene: str, *, steps: int) -> Config:
    """Returns the config of training on a scene: single frames if nothing is hidden, else clips."""
    clip = {"open": (24, 1, 2.0e-3), "train": (5, 8, 1.0e-3)}
    batch_size, unroll_length, rate = clip[scene]
    return config_io.override(
        Config(),
        [
            f"model.num_classes={len(TRAIN.shapes)}",
            f"model.labels=[{', '.join(TRAIN.shapes)}]",
            f"model.input_height={SIZE}",
            f"model.input_width={SIZE}",
            "model.depth_multipliers=[0.35]",
            "model.state_depth=128",
            "model.feature_map_depth_multiplier=0.25",
            "model.train_schedule=LARGE",
            "model.eval_schedule=LARGE",
            "model.feature_extractor.batch_norm_decay=0.95",
            "model.box_predictor.conv.batch_norm_decay=0.95",
            "model.loss.classification=focal",
            "model.loss.focal_alpha=0.5",
            "model.loss.hard_negatives=null",
            f"train.steps={steps}",
            "train.optimizer.name=adam",
            "train.optimizer.epsilon=1.0e-7",
            "train.learning_rate.schedule=cosine",
            f"train.learning_rate.initial={rate}",
            "train.learning_rate.hold_fraction=0.5",
            f"data.train.input_path=['{folder / scene / '*.tfrecord'}']",
            f"data.train.batch_size={batch_size}",
            f"data.train.unroll_length={unroll_length}",
            "data.train.clips=independent",
            f"data.evaluation.input_path=['{folder / 'test' / '*.tfrecord'}']",
            "data.evaluation.batch_size=1",
            "data.evaluation.unroll_length=10",
        ],
    )


class HiddenVideo(SyntheticVideo):
    """A synthetic video with the true boxes that it would have without bars."""

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        """Yields the frames; see `SourceVideo`."""
        frames = super().read(start, stop, images=images)
        open_frames = without_bars(self).read(start, stop, images=False)
        for frame, open_frame in zip(frames, open_frames, strict=True):
            yield frame._replace(truth=open_frame.truth)


def hiding(scene: Scene) -> Source:
    """Returns the videos of a scene, with the boxes of all objects, behind bars or not."""
    made = synthesize.source(scene)
    videos = (HiddenVideo(v.number, v.scene, v.objects, v.background) for v in made.videos)
    return made._replace(videos=tuple(videos))


def without_bars(video: SyntheticVideo) -> SyntheticVideo:
    """Returns the same video without bars."""
    scene = dataclasses.replace(video.scene, occlusion=0)
    return SyntheticVideo(video.number, scene, video.objects, video.background)


def occluded_frames() -> set[tuple[str, int]]:
    """Returns (video, frame) of the test frames in which a bar hides an object."""
    found = set()
    for video in synthesize.source(dataclasses.replace(TEST, min_visible=LEAST_SEEN)).videos:
        pairs = zip(video.read(images=False), without_bars(video).read(images=False), strict=True)
        for number, (barred, free) in enumerate(pairs):
            if set(free.truth.track_ids) - set(barred.truth.track_ids):
                found.add((video.name, number))
    return found


def fitted(
    config: Config, seed: int, *, memory: bool, weights: dict[str, np.ndarray] | None = None
) -> lstd.LSTMSSD:
    """Returns a model trained with or without its memory.

    Args:
        config: of model, training and data.
        seed: of initial weights and data order.
        memory: False: the state is zero before every frame.
        weights: to start from, by name, with the backbone frozen; None: those that the seed draws.
    """
    import tf_keras as keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = lstd.build_model(config.model)
    if weights is not None:
        for name, variable in names_of(model).items():
            variable.assign(weights[name])
        model.freeze(["^large/"])
    model.compile(
        optimizer=lstd.build_optimizer(config.train),
        loss=lstd.DetectionLoss.from_config(config.model),
    )
    dataset = lstd.make_dataset(config.data, "train", seed=seed)
    model.fit(
        dataset if memory else dataset.map(forget), steps_per_epoch=config.train.steps, verbose=0
    )
    return model


def forget(clip: lstd.ClipBatch, truth: lstd.GroundTruth) -> Any:
    """Returns the clip with a state of zero before every frame."""
    return clip._replace(starts=clip.frame_index >= -1), truth


def evaluate(
    model: lstd.LSTMSSD, config: Config, occluded: set[tuple[str, int]], *, memory: bool
) -> dict[str, float]:
    """Returns AP50 on the occluded frames and on the others."""
    from lstd.evaluation.metrics.coco import CocoMetric

    dataset = lstd.make_dataset(config.data, "evaluation")
    metric = CocoMetric(model.labels)
    lstd.evaluate(model, dataset if memory else dataset.map(forget), metrics=[metric])
    result = {}
    for name, wanted in (("occluded", True), ("others", False)):
        truth, found = (
            {key: value for key, value in every.items() if (tuple(key) in occluded) == wanted}
            for every in (metric.ground_truth, metric.detections)
        )
        part = CocoMetric(model.labels)
        for frame, true in truth.items():
            part.add(frame, true, found.get(frame))
        result[name] = part.result()["coco/ap50"]
    return result


def summary(values: list[float]) -> str:
    """Returns all values, their mean and its 95 % interval, in points."""
    text = ", ".join(f"{value:+.1f}" for value in values)
    mean = statistics.mean(values)
    if len(values) not in T_95:
        return f"{text}; mean {mean:+.1f}"
    half = T_95[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{text}; mean {mean:+.1f} points ({mean - half:+.1f} to {mean + half:+.1f})"


if __name__ == "__main__":
    main()
