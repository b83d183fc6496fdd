"""Does the input pipeline keep up: its clips per second against what the training step eats.

    python benchmarks/pipeline_speed.py [--config configs/....yaml] [--size 320] [--turns 5]

In one process and in turns: the pipeline alone on each medium (JPEG shards plain, and augmented as
the original's MobileNetV1 config does, and with every augmentation there is; the same video as a
file), the training step alone on one batch, and the step fed by the augmented shards. Then
`--memory_clips` clips of small frames, with the resident memory of the process on the way. The
frames are made here: 640 x 480 pixels, textured, with moving boxes.

Beside the rate stands the processor time of a clip, which says the same on a machine that others
use, too.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import lstd

Job = tuple[Any, Callable[[Any], Any]]
"""A dataset, and what is done with an iterator over it, again and again."""

ROOT = Path(__file__).resolve().parent.parent
STORED = (480, 640)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--config", default=ROOT / "configs" / "interleaved_mobilenet_v2_imagenet_vid.yaml"
    )
    parser.add_argument("--size", type=int, default=320, help="of the model's input, pixels")
    parser.add_argument("--batch_size", type=int, default=2, help="clips in a batch")
    parser.add_argument("--frames", type=int, default=240, help="of each of the four videos")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="batches in a turn")
    parser.add_argument("--memory_clips", type=int, default=10000)
    arguments = parser.parse_args()

    import tensorflow as tf

    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}; {arguments.turns} turns of {arguments.steps} batches of "
        f"{arguments.batch_size} clips",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        speed(arguments, Path(folder))
        memory(arguments, Path(folder))


def speed(arguments: argparse.Namespace, folder: Path) -> None:
    """Prints clips per second of pipeline, step, and both together."""
    import tensorflow as tf

    from lstd.config import config_io

    config = config_io.override(
        lstd.load_config(arguments.config),
        [f"model.input_height={arguments.size}", f"model.input_width={arguments.size}"],
    )
    length = config.data.train.unroll_length
    shards, video = make_data(folder, frames=arguments.frames)
    datasets = {
        name: dataset_of(path, arguments, length, augmentation)
        for name, path, augmentation in (
            ("JPEG shards", shards, ()),
            ("JPEG shards, flip and crop", shards, original_augmentation()),
            ("JPEG shards, all augmentations", shards, all_augmentations()),
            ("video file and JSON", video, ()),
        )
    }
    fed = datasets["JPEG shards, flip and crop"]
    train = train_function(config, arguments.batch_size)
    one = tf.data.Dataset.from_tensors(next(iter(fed))).repeat()
    jobs: dict[str, Job] = {name: (dataset, next) for name, dataset in datasets.items()}
    jobs["training step alone"] = (one, train)
    jobs["training step, fed by flip and crop"] = (fed, train)
    rates, costs = measure(jobs, arguments)
    step = statistics.median(rates["training step alone"])
    step_cost = statistics.median(costs["training step alone"])
    print(f"{'':36} clips/s  (spread)            x step's  CPU s/clip  x cheaper")
    for name, values in rates.items():
        rate, cost = statistics.median(values), statistics.median(costs[name])
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(
            f"{name:36} {rate:7.2f}  {spread:18} {rate / step:8.2f} {cost:11.3f} "
            f"{step_cost / cost:10.2f}",
            flush=True,
        )


def memory(arguments: argparse.Namespace, folder: Path) -> None:
    """Prints the resident memory while clips of small frames are read."""
    videos = tuple(Moving(f"small{n}", 60, 48, 64, seed=n) for n in range(40))
    path = convert(videos, folder / "small", frames_per_record=25)
    config = lstd.DataConfig(
        train=lstd.DatasetConfig(
            input_path=(path,),
            batch_size=8,
            unroll_length=4,
            height=32,
            width=32,
            max_frame_stride=2,
            augmentation=original_augmentation(),
        )
    )
    batches = iter(lstd.make_dataset(config, "train"))
    total, started = arguments.memory_clips // 8, time.perf_counter()
    marks: list[tuple[int, float]] = []
    for number in range(1, total + 1):
        next(batches)
        if number % max(1, total // 10) == 0:
            marks.append((number * 8, resident_mb()))
    took = time.perf_counter() - started
    print(f"{total * 8} clips of 4 frames at 32 px in {took:.0f} s; resident memory, MB:")
    print("  " + ", ".join(f"{value:.0f} at {clips}" for clips, value in marks))
    if len(marks) > 5:
        late = marks[len(marks) // 2 :]
        print(
            f"  from {late[0][0]} clips on: {late[-1][1] - late[0][1]:+.1f} MB, "
            f"between {min(v for _, v in late):.0f} and {max(v for _, v in late):.0f}"
        )


def resident_mb() -> float:
    """Returns what the process holds in memory now (Linux), or held at most (elsewhere)."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def original_augmentation() -> tuple:
    """Returns what the original's MobileNetV1 config does."""
    from lstd.config import augmentation_config as names

    return (names.HorizontalFlip(), names.SsdRandomCrop())


def all_augmentations() -> tuple:
    """Returns each augmentation of frames, with its own probability."""
    from lstd.config import augmentation_config as names

    return tuple(kind() for name, kind in names.BY_NAME.items() if name != "time_reversal")


def dataset_of(path: str, arguments: argparse.Namespace, length: int, augmentation: tuple) -> Any:
    """Returns the training data of a path."""
    config = lstd.DatasetConfig(
        input_path=(path,),
        batch_size=arguments.batch_size,
        unroll_length=length,
        height=arguments.size,
        width=arguments.size,
        augmentation=augmentation,
    )
    return lstd.make_dataset(lstd.DataConfig(train=config), "train", labels=("box",))


def train_function(config: Any, batch_size: int) -> Callable[[Any], Any]:
    """Returns what takes an iterator and does one training step."""
    model = lstd.build_model(config.model, stateful=True, batch_size=batch_size)
    model.compile(
        optimizer=lstd.build_optimizer(config.train),
        loss=lstd.DetectionLoss.from_config(config.model),
    )
    return model.make_train_function()


def measure(
    jobs: dict[str, Job], arguments: argparse.Namespace
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Returns clips per second, and processor seconds per clip, turn by turn; the first warms up.

    Every turn of a job has an iterator of its own, so that none prefetches while another is timed;
    as many batches as are prefetched are thrown away.
    """
    rates: dict[str, list[float]] = {name: [] for name in jobs}
    costs: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(arguments.turns + 1):
        for name, (dataset, work) in jobs.items():
            many = arguments.steps * (1 if name.startswith("training") else 5)
            batches = iter(dataset)
            for _ in range(max(2, many // 2)):
                work(batches)
            started, worked = time.perf_counter(), time.process_time()
            for _ in range(many):
                work(batches)
            took, worked = time.perf_counter() - started, time.process_time() - worked
            del batches
            if turn:
                clips = many * arguments.batch_size
                rates[name].append(clips / took)
                costs[name].append(worked / clips)
    return rates, costs


@dataclasses.dataclass(frozen=True)
class Moving:
    """A `SourceVideo` of textured frames in which three boxes move."""

    name: str
    num_frames: int
    height: int
    width: int
    seed: int
    has_tracks: bool = True
    random_access: bool = True
    where: str = "made here"

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[Any]:
        """Yields the frames; see `lstd.data.sources.SourceVideo`."""
        from lstd.data.sources import SourceFrame

        ground = self._ground()
        for number in range(start, self.num_frames if stop is None else stop):
            image, truth = self._frame(ground, number)
            yield SourceFrame(image if images else None, truth, f"{self.name}, frame {number}")

    def _ground(self) -> np.ndarray:
        generator = np.random.default_rng(self.seed)
        coarse = generator.integers(40, 216, [self.height // 8 + 2, self.width // 8 + 2, 3])
        ground = np.kron(coarse, np.ones([8, 8, 1]))[: self.height, : self.width]
        ground = ground + generator.normal(0, 6, ground.shape)
        return np.clip(ground, 0, 255).astype(np.uint8)

    def _frame(self, ground: np.ndarray, number: int) -> tuple[np.ndarray, Any]:
        from lstd.base.types import GroundTruth

        height, width = self.height, self.width
        image = np.roll(ground, number, axis=1)
        boxes = []
        for row in range(3):
            top = (row * height // 4 + number) % (height // 2)
            left = (row * width // 5 + 2 * number) % (width // 2)
            bottom, right = top + height // 4, left + width // 6
            image[top:bottom, left:right] = 80 * row
            boxes.append([top / height, left / width, bottom / height, right / width])
        tracks = np.arange(3, dtype=np.int32)
        return image, GroundTruth(np.float32(boxes), np.zeros(3, np.int32), tracks)


def convert(videos: tuple[Moving, ...], folder: Path, *, frames_per_record: int = 200) -> str:
    """Writes videos as `lstd-data convert` does, JPEG of quality 95; returns the shards."""
    from lstd.data import convert as conversions
    from lstd.data.convert import Settings
    from lstd.data.sources import Source

    settings = Settings(frames_per_record=frames_per_record)
    conversions.convert(Source("made", "made", ("box",), videos), folder, settings, workers=1)
    return str(folder / "*.tfrecord")


def make_data(folder: Path, *, frames: int) -> tuple[str, str]:
    """Returns shards, and the path of a CocoVID JSON with video files of the same frames."""
    import json

    videos = tuple(Moving(f"v{number}", frames, *STORED, seed=number) for number in range(4))
    shards = convert(videos, folder / "shards")
    data: dict[str, list] = {"videos": [], "images": [], "annotations": []}
    data["categories"] = [{"id": 1, "name": "box"}]
    for video in videos:
        add_video(data, folder, video)
    path = folder / "labels.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return shards, str(path)


def add_video(data: dict[str, list], folder: Path, video: Moving) -> None:
    """Writes a video file, and its boxes into the CocoVID dict."""
    from lstd.media.video_writer import VideoWriter

    height, width, name = video.height, video.width, f"{video.name}.mp4"
    sides = {"width": width, "height": height}
    video_id = len(data["videos"]) + 1
    data["videos"].append({"id": video_id, "name": name, **sides})
    with VideoWriter(folder / name, fps=30, **sides) as writer:
        for number, frame in enumerate(video.read()):
            writer.write(frame.image)
            place = {"video_id": video_id, "frame_id": number}
            image_id = len(data["images"]) + 1
            file_name = f"{name}#{number}"
            data["images"].append({"id": image_id, "file_name": file_name, **place, **sides})
            for track, (top, left, bottom, right) in enumerate(frame.truth.boxes.tolist()):
                box = [left * width, top * height, (right - left) * width, (bottom - top) * height]
                data["annotations"].append(
                    {
                        "id": len(data["annotations"]) + 1,
                        "image_id": image_id,
                        "video_id": video_id,
                        "category_id": 1,
                        "instance_id": track,
                        "bbox": box,
                    }
                )


if __name__ == "__main__":
    main()
