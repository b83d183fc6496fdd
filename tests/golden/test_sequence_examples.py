"""The original's records, as the original's decoder reads them."""

import numpy as np

from lstd.data import record_files
from lstd.ops import images
from tests.golden.reference import arrays, reference

RECORDS = reference("sequence_examples.tfrecord")


def test_records_of_the_original_are_read_as_the_original_decodes_them() -> None:
    golden = arrays(reference("sequence_examples_decoded.npz"))
    videos = record_files.list_videos([str(RECORDS)])

    assert [video.name for video in videos] == ["src0", "src1"]
    assert [(v.parts[0].height, v.parts[0].width) for v in videos] == [(40, 56), (32, 32)]
    for number, video in enumerate(videos):
        own = {name.partition("/")[2]: value for name, value in golden.items()
               if name.startswith(f"example{number}/")}  # fmt: skip
        frames = record_files.frames_of(video.parts[0])
        pixels = np.stack([images.decode(frame.image) for frame in frames])
        np.testing.assert_array_equal(pixels, own["image"])
        for place, frame in enumerate(frames):
            real = own["groundtruth_classes"][place] > 0  # the others are padding
            for found, name in (
                (frame.truth.boxes, "boxes"),
                (frame.truth.classes + 1, "classes"),
                (frame.truth.is_crowd, "is_crowd"),
            ):
                np.testing.assert_array_equal(found, own[f"groundtruth_{name}"][place][real])
            assert frame.truth.track_ids is None
