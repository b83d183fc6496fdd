"""Makes the video of this folder, and its labels, of a clip that the benchmark's script wrote.

    python examples/freedoom/make_clip.py --data build/freedoom --clip map03_00

README.md beside this file has the facts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from lstd.base.whole_file import write_whole
from lstd.media.video_writer import VideoWriter

FPS = 17.5  # the game makes 35 tics a second, and every second one is a frame
HERE = Path(__file__).resolve().parent


def main() -> None:
    """Writes freedoom.mp4 and freedoom.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("build/freedoom"))
    parser.add_argument("--clip", required=True, help="of the test part, such as map03_00")
    arguments = parser.parse_args()
    folder = arguments.data / "frames" / "test"
    labels = labels_of(json.loads((folder / "test.json").read_text()), arguments.clip)
    write_whole(HERE / "freedoom.json", json.dumps(labels) + "\n")
    first = labels["images"][0]
    with VideoWriter(
        HERE / "freedoom.mp4", fps=FPS, width=first["width"], height=first["height"]
    ) as video:
        for path in sorted((folder / arguments.clip).glob("*.jpg")):
            with Image.open(path) as picture:
                video.write(np.asarray(picture))
    print(f"{arguments.clip}: {video.num_frames} frames, {len(labels['annotations'])} boxes")


def labels_of(labels: dict, clip: str) -> dict:
    """Returns the labels of a clip in CocoVID's form, as those of freedoom.mp4."""
    videos = [video for video in labels["videos"] if video["name"] == clip]
    images = [
        image | {"file_name": f"freedoom.mp4#{image['frame_id']}"}
        for image in labels["images"]
        if videos and image["video_id"] == videos[0]["id"]
    ]
    known = {image["id"] for image in images}
    rows = [row for row in labels["annotations"] if row["image_id"] in known]
    return labels | {
        "videos": [{"id": video["id"], "name": "freedoom"} for video in videos],
        "images": images,
        "annotations": rows,
    }


if __name__ == "__main__":
    main()
