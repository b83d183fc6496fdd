"""Cuts `data/` out of the whole set of golden numbers; see README.md in this folder.

python -m tests.golden.cut
"""

import json
import shutil

import numpy as np

from tests.golden.reference import DATA, REFERENCE, arrays

WHOLE = (
    "anchors.json",
    "anchors.npz",
    "coco.json",
    "coco.npz",
    "counts.json",
    "iv2_small.config",
    "iv2_small_train.npz",
    "iv2_small_weights.npz",
    "lstm_cells.npz",
    "lstm_cells_v1.npz",
    "resize.npz",
    "sequence_examples.tfrecord",
    "sequence_examples_decoded.npz",
    "v1_small.config",
    "v1_small_train.npz",
    "v1_small_train.json",
    "v1_small_train_delta_x4096.npz",
    "v1_small_train_grads.npz",
    "v1_small_weights.npz",
)
# Of these, the arrays whose names begin so.
PARTS = {
    "iv2_small_eval_common.npz": ("video", "state_", "anchors"),
    "iv2_small_eval_skip3_zero.npz": ("action", "state_", "box_", "class_", "post_"),
    "iv2_small_eval_mixed_state.npz": ("action", "state_", "box_", "class_", "post_"),
    "v1_small_eval_common.npz": ("video", "state_", "anchors"),
    "v1_small_eval_zero.npz": ("state_", "box_", "class_", "post_"),
    "v1_small_eval_state.npz": ("state_", "box_", "class_", "post_"),
}
LEFT_OUT = ("post_raw_", "post_detection_multiclass", "anchors_center_size")
# Of these, the entries of this path.
ENTRIES = {
    "iv2_small_meta.json": ("meta", ("batch", "size", "scenarios")),
    "v1_small_meta.json": ("meta", ("batch", "size", "scenarios")),
}


def main() -> None:
    """Makes `data/` anew."""
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    for name in WHOLE:
        shutil.copyfile(REFERENCE / name, DATA / name)
    for name, wanted in PARTS.items():
        found = arrays(REFERENCE / name)
        kept = {
            key: value
            for key, value in found.items()
            if key.startswith(wanted) and not key.startswith(LEFT_OUT)
        }
        np.savez_compressed(DATA / name, **kept)
    for name, (entry, keys) in ENTRIES.items():
        facts = json.loads((REFERENCE / name).read_text())[entry]
        text = json.dumps({entry: {key: facts[key] for key in keys}}, indent=1)
        (DATA / name).write_text(text + "\n")
    size = sum(path.stat().st_size for path in DATA.iterdir())
    print(f"{DATA}: {len(list(DATA.iterdir()))} files, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
