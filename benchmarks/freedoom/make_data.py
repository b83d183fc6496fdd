"""Video with exact boxes, played in the game Freedoom: records for training, validation and test.

    pip install -e ".[all,freedoom]"
    python benchmarks/freedoom/make_data.py --output_directory build/freedoom

The player is put before objects of six classes and walks among them; the game tells class,
identity and visible pixels of each. Training, validation and test are played on different maps.
`test_fast` and `validation_fast` are every third frame of `test` and `validation`. The same version
of vizdoom writes the same labels each time: the script prints a checksum for each part, and
compares it with `checksums.json` unless `--share` was given.

What counts as an object: a side of at least 24 px, at most 0.9 of the width and 0.98 of the height,
and a fifth of its box covered by its own visible pixels. The others are written with `iscrowd`:
they are neither learned nor scored. Clips are dropped when they are dark or show objects in less
than 60 % of their frames. The player never stands outside of the map, where the game would draw
leftovers of earlier frames.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from lstd.cli import failures

try:
    import vizdoom
except ImportError:
    sys.exit("vizdoom is not installed, which this needs: pip install -e '.[freedoom]'")

CLASSES = {  # and the game's names of what belongs to each
    "soldier": ("Zombieman", "ShotgunGuy", "ChaingunGuy"),
    "imp": ("DoomImp",),
    "demon": ("Demon",),
    "cacodemon": ("Cacodemon",),
    "lost soul": ("LostSoul",),
    "barrel": ("ExplosiveBarrel",),
}
LABELS = {
    actor: label for label, actors in enumerate(CLASSES.values(), start=1) for actor in actors
}
HEIGHT, WIDTH = 192, 256
TICS_PER_FRAME = 2  # the game makes 35 tics a second
FAST_STRIDE = 3
SHORTEST_SIDE = 24
WIDEST, HIGHEST = 0.9 * WIDTH, 0.98 * HEIGHT
LEAST_COVERED = 0.2
LEAST_BRIGHTNESS = 25
LEAST_SHARE_WITH_OBJECTS = 0.6
SCENES_PER_EPISODE = 12

MAPS = tuple(("freedoom2.wad", f"map{number:02d}") for number in range(1, 31)) + tuple(
    ("freedoom1.wad", f"e{episode}m{number}") for episode in (1, 2, 3) for number in range(1, 9)
)
TEST_MAPS, VALIDATION_MAPS = MAPS[2::6], MAPS[5::12]
TRAINING_MAPS = tuple(name for name in MAPS if name not in TEST_MAPS + VALIDATION_MAPS)


class Part(NamedTuple):
    """Clips of one part of the data: on which maps, how many on each, how long, from which seed."""

    maps: Sequence[tuple[str, str]]
    clips_per_map: int
    frames: int
    seed: int


PARTS = {
    "train": Part(TRAINING_MAPS, clips_per_map=48, frames=24, seed=1_000),
    "validation": Part(VALIDATION_MAPS, clips_per_map=8, frames=90, seed=2_000),
    "test": Part(TEST_MAPS, clips_per_map=8, frames=90, seed=3_000),
}


class Box(NamedTuple):
    """The visible pixels of an object, which object it is, and whether it counts as one."""

    label: int
    track: int
    x: int
    y: int
    width: int
    height: int
    counts: bool


Clip = tuple[str, list[list[Box]]]
"""Its name, and the boxes of each of its frames."""


class LevelLeftError(Exception):
    """The player has walked out of the map."""


class Player:
    """Walks through one map of the game and sees clips.

    Args:
        wad: file of the game's data, as vizdoom brings it.
        name: of the map.
        seed: of everything that is drawn.
    """

    def __init__(self, wad: str, name: str, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        plan = _start(wad, name, seed, plan=True)
        self._sectors = [
            np.array([(line.x1, line.y1, line.x2, line.y2) for line in sector.lines])
            for sector in plan.get_state().sectors
            if sector.lines
        ]
        plan.close()
        self._game = _start(wad, name, seed)

    def clips(self, count: int, frames: int) -> Iterator[tuple[np.ndarray, list[list[Box]]]]:
        """Yields at most `count` clips: uint8 `[frames, HEIGHT, WIDTH, 3]`, boxes of each frame."""
        found = 0
        for attempt in range(40 * count):
            if attempt % SCENES_PER_EPISODE == 0 or self._game.is_episode_finished():
                self._game.new_episode()
                for command in ("cl_showsecretmessage 0", "god", "fov 60"):
                    self._game.send_game_command(command)
            try:
                clip = self._walk(frames) if self._stand_before_objects() else None
            except LevelLeftError:
                clip = None
            if clip is not None:
                found += 1
                yield clip
            if found == count:
                break
        self._game.close()

    def _stand_before_objects(self) -> bool:
        """Makes a scene: some objects near a thing of the map, seen from a distance."""
        draw = self._random
        state = self._act(tics=int(draw.integers(2, 9)))
        things = [thing for thing in state.objects if thing.name != "DoomPlayer"]
        thing = things[draw.integers(len(things))]
        start = _away(
            thing.position_x, thing.position_y, draw.uniform(0, 2 * math.pi), draw.uniform(20, 120)
        )
        if not self._warp(*start):
            return False
        for _ in range(int(draw.integers(2, 5))):
            self._act(turn=draw.uniform(-40, 40))
            actors = list(CLASSES.values())[draw.integers(len(CLASSES))]
            self._game.send_game_command(f"summon {actors[draw.integers(len(actors))]}")
            self._act(ahead=draw.uniform(-25, 10), aside=draw.choice([-25, 25]))
        x, y, facing = self._act(tics=2).game_variables
        behind = math.radians(facing) + math.pi + draw.uniform(-0.6, 0.6)
        if not self._warp(*_away(x, y, behind, draw.uniform(60, 256))):
            return False
        here_x, here_y, facing = self._act().game_variables
        wanted = math.degrees(math.atan2(y - here_y, x - here_x))
        state = self._act(turn=-((wanted - facing + 180) % 360 - 180))
        return state.screen_buffer.mean() >= LEAST_BRIGHTNESS and _shows_objects(_boxes(state))

    def _walk(self, frames: int) -> tuple[np.ndarray, list[list[Box]]] | None:
        """Returns a clip from here on, or None where too little is seen in it."""
        draw = self._random
        pace = draw.choice([0.1, 0.2, 0.2])
        pictures, rows, course = [], [], (0.0, 0.0, 0.0)
        for number in range(frames):
            state = self._game.get_state()
            pictures.append(state.screen_buffer.copy())
            rows.append(_boxes(state))
            if number == 9 and sum(map(_shows_objects, rows)) < 5:
                return None
            if number % 10 == 0:  # a new course, toward an object where one is seen
                turn = draw.normal(0, 2)
                if seen := [box for box in rows[-1] if box.counts]:
                    box = seen[draw.integers(len(seen))]
                    turn = 4 * (box.x + box.width / 2) / WIDTH - 2 + draw.normal(0, 1.5)
                course = (turn, draw.uniform(-6, 10), draw.normal(0, 6))
            self._act(*(pace * part for part in course), tics=TICS_PER_FRAME)
        if np.mean([_shows_objects(row) for row in rows]) < LEAST_SHARE_WITH_OBJECTS:
            return None
        return np.stack(pictures), rows

    def _act(
        self, turn: float = 0.0, ahead: float = 0.0, aside: float = 0.0, *, tics: int = 1
    ) -> vizdoom.GameState:
        self._game.make_action([float(turn), float(ahead), float(aside)], tics)
        state = self._game.get_state()
        if state is None:
            raise LevelLeftError
        return state

    def _warp(self, x: float, y: float) -> bool:
        """Puts the player there, if that is within the map."""
        inside = any(_contains(sector, x, y) for sector in self._sectors)
        if inside:
            self._game.send_game_command(f"warp {x:.0f} {y:.0f}")
            self._act()
        return inside


def _start(wad: str, name: str, seed: int, *, plan: bool = False) -> vizdoom.DoomGame:
    """Returns a game that has begun; with `plan` its states tell the walls of the map, slowly."""
    game = vizdoom.DoomGame()
    game.set_doom_game_path(str(Path(vizdoom.__file__).parent / wad))
    game.set_doom_map(name)
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_256X192)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_labels_buffer_enabled(True)
    game.set_objects_info_enabled(True)
    game.set_sectors_info_enabled(plan)
    for show in (
        game.set_render_hud,
        game.set_render_weapon,
        game.set_render_crosshair,
        game.set_render_effects_sprites,
        game.set_render_decals,
        game.set_render_particles,
        game.set_render_messages,
        game.set_render_corpses,
        game.set_window_visible,
        game.set_console_enabled,
    ):
        show(False)
    button, variable = vizdoom.Button, vizdoom.GameVariable
    game.set_available_buttons(
        [
            button.TURN_LEFT_RIGHT_DELTA,
            button.MOVE_FORWARD_BACKWARD_DELTA,
            button.MOVE_LEFT_RIGHT_DELTA,
        ]
    )
    game.set_available_game_variables([variable.POSITION_X, variable.POSITION_Y, variable.ANGLE])
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_episode_timeout(0)
    game.set_seed(seed)
    game.set_doom_skill(3)
    game.init()
    return game


def _boxes(state: vizdoom.GameState) -> list[Box]:
    """Returns the visible objects of a frame."""
    found = []
    for label in state.labels:
        x, y, width, height = label.x, label.y, label.width, label.height
        if label.object_name not in LABELS or min(width, height) < 1:
            continue
        own = state.labels_buffer[y : y + height, x : x + width] == label.value
        counts = (
            min(width, height) >= SHORTEST_SIDE
            and width <= WIDEST
            and height <= HIGHEST
            and own.mean() >= LEAST_COVERED
        )
        name = LABELS[label.object_name]
        found.append(Box(name, int(label.object_id), x, y, width, height, bool(counts)))
    return found


def _shows_objects(boxes: Sequence[Box]) -> bool:
    return any(box.counts for box in boxes)


def _away(x: float, y: float, direction: float, distance: float) -> tuple[float, float]:
    return x + distance * math.cos(direction), y + distance * math.sin(direction)


def _contains(lines: np.ndarray, x: float, y: float) -> bool:
    """Returns whether a point lies within an outline, float `[N, 4]`, by the even-odd rule."""
    x1, y1, x2, y2 = lines[(lines[:, 1] > y) != (lines[:, 3] > y)].T
    return bool(np.count_nonzero(x < x1 + (y - y1) * (x2 - x1) / (y2 - y1)) % 2)


def play(job: tuple[Path, str, str, int, int, int]) -> list[Clip]:
    """Writes the frames of a map's clips as JPEG; returns each clip's name and boxes."""
    folder, wad, name, count, frames, seed = job
    played = []
    for number, (pictures, rows) in enumerate(Player(wad, name, seed).clips(count, frames)):
        title = f"{name}_{number:02d}"
        (folder / title).mkdir(parents=True)
        for place, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / title / f"{place:05d}.jpg", quality=90)
        played.append((title, rows))
    return played


def as_coco(clips: Sequence[Clip], stride: int = 1) -> dict:
    """Returns the labels of every `stride`-th frame in CocoVID's form."""
    videos, images, annotations = [], [], []
    for title, rows in clips:
        videos.append({"id": len(videos) + 1, "name": title})
        for place in range(0, len(rows), stride):
            images.append(
                {
                    "id": len(images) + 1,
                    "file_name": f"{title}/{place:05d}.jpg",
                    "width": WIDTH,
                    "height": HEIGHT,
                    "video_id": len(videos),
                    "frame_id": place // stride,
                }
            )
            for box in rows[place]:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": len(images),
                        "category_id": box.label,
                        "instance_id": box.track,
                        "bbox": [box.x, box.y, box.width, box.height],
                        "area": box.width * box.height,
                        "iscrowd": int(not box.counts),
                    }
                )
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)]
    return {
        "videos": videos,
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def write(output: Path, name: str, clips: Sequence[Clip], stride: int) -> str:
    """Writes the records of a part; returns the checksum of its labels."""
    labels = as_coco(clips, stride)
    text = json.dumps(labels, sort_keys=True)
    frames = output / "frames" / name.removesuffix("_fast")
    (frames / f"{name}.json").write_text(text)
    command = [sys.executable, "-m", "lstd.cli.data", "convert", "--images", frames]
    command += ["--input", frames / f"{name}.json", "--output_directory", output / name]
    subprocess.run(command, check=True)
    names, rows = list(CLASSES), labels["annotations"]
    counts = Counter(names[row["category_id"] - 1] for row in rows if not row["iscrowd"])
    print(
        f"{name}: {len(labels['videos'])} clips, {len(labels['images'])} frames, "
        f"{counts.total()} boxes: {dict(counts.most_common())}",
        flush=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    """Plays and writes all parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_directory", type=Path, default=Path("build/freedoom"))
    parser.add_argument("--share", type=float, default=1.0, help="of the clips; below 1 for a try")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    if not 0 < arguments.share <= 1:
        parser.error(f"--share must be above 0 and at most 1, got {arguments.share}")
    if arguments.processes < 1:
        parser.error(f"--processes must be at least 1, got {arguments.processes}")
    output, share = arguments.output_directory.resolve(), arguments.share
    try:
        if output.exists() and any(output.iterdir()):
            parser.error(f"{output} is not empty; name a new folder with --output_directory")
        checksums = make(output, share, arguments.processes)
    except OSError as error:
        parser.error(str(failures.sentence(error)))
    except subprocess.CalledProcessError:  # which has said what is wrong
        sys.exit(2)
    print(json.dumps(checksums, indent=2))
    expected = Path(__file__).with_name("checksums.json")
    if share == 1 and expected.exists() and json.loads(expected.read_text()) != checksums:
        sys.exit(
            f"these are not the labels of {expected}; is vizdoom the version of pyproject.toml?"
        )


def make(output: Path, share: float, processes: int) -> dict[str, str]:
    """Plays and writes a share of the clips of each part; returns the checksums of the labels."""
    checksums = {}
    with (
        tempfile.TemporaryDirectory() as scratch,  # The game leaves files where it runs.
        multiprocessing.Pool(processes, initializer=os.chdir, initargs=(scratch,)) as pool,
    ):
        for name, part in PARTS.items():
            count = math.ceil(share * part.clips_per_map)
            folder = output / "frames" / name
            folder.mkdir(parents=True)
            jobs = [
                (folder, *place, count, part.frames, part.seed + number)
                for number, place in enumerate(part.maps)
            ]
            clips = [clip for played in pool.imap(play, jobs, chunksize=1) for clip in played]
            checksums[name] = write(output, name, clips, 1)
            if name != "train":
                checksums[f"{name}_fast"] = write(output, f"{name}_fast", clips, FAST_STRIDE)
    return checksums


if __name__ == "__main__":
    main()
