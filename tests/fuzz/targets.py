"""What is fuzzed: small valid samples of everything that lstd reads, and what reads them."""

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from lstd.cli import benchmark, data, detect, export, train
from lstd.cli import eval as evaluate
from tests.data.readers import test_formats, test_records, test_tools
from tests.fuzz.mutate import HOSTILE

_SIZE = (24, 32)  # height and width of all pictures


_text = test_formats.text
_picture = functools.partial(test_formats.picture, size=_SIZE)
_video = functools.partial(test_formats.film, values=[0, 90, 180], size=_SIZE)


class Target(NamedTuple):
    """Something to fuzz.

    Attributes:
        make: writes a valid sample into a folder.
        run: reads it; returns the exit code of a command, None where it calls a function.
        share: percent of the seeds that are run.
    """

    make: Callable[[Path], None]
    run: Callable[[Path, Random], int | None]
    share: int = 5


def _vid(folder: Path) -> None:
    sides = "<xmax>20</xmax><xmin>3</xmin><ymax>20</ymax><ymin>2</ymin>"
    for number in range(2):
        name = f"VID/train/v/{number:06d}"
        _picture(folder / "Data" / f"{name}.JPEG", value=number)
        _text(
            folder / "Annotations" / f"{name}.xml",
            "<annotation><folder>v</folder><size><width>32</width><height>24</height></size>"
            "<object><trackid>0</trackid><name>n02958343</name>"
            f"<bndbox>{sides}</bndbox><occluded>0</occluded></object></annotation>",
        )
    _text(folder / "ImageSets" / "VID" / "train.txt", "train/v 1\n")


def _mot(folder: Path) -> None:
    for number in (1, 2):
        _picture(folder / "s" / "img1" / f"{number:06d}.png", value=number)
    _text(folder / "s" / "gt" / "gt.txt", "1,1,3,4,10,8,1,1,1.0\n2,1,4,4,10,8,1,3,0.5\n")
    info = "[Sequence]\nname=s\nimDir=img1\nframeRate=30\nseqLength=2\nimWidth=32\nimHeight=24\n"
    _text(folder / "s" / "seqinfo.ini", info + "imExt=.png\n")


def _yolo(folder: Path) -> None:
    for number in (1, 2):
        _picture(folder / "images" / f"a_{number}.png", value=number)
        _text(folder / "labels" / f"a_{number}.txt", "0 .5 .5 .1 .2\n1 .1 .1 .2 .1 .2 .2\n")
    _text(folder / "data.yaml", "path: .\ntrain: images\nval: images\nnames: {0: ant, 1: bee}\n")
    _text(folder / "list.txt", "images/a_1.png\n")


def _yolo_bare(folder: Path) -> None:
    for number in (1, 2):
        _picture(folder / f"a_{number}.png", value=number)
        _text(folder / f"a_{number}.txt", "0 .5 .5 .1 .2 7\n")
    _text(folder / "classes.txt", "ant\nbee\n")


def _coco_json(names: Sequence[str]) -> str:
    images = [
        {"id": n, "file_name": name, "video_id": 1, "frame_id": n, "height": 24, "width": 32}
        for n, name in enumerate(names)
    ]
    boxes = [
        {"id": n, "image_id": n, "category_id": 7, "bbox": [2, 3, 9.5, 8], "area": 76}
        | {"iscrowd": 0, "instance_id": 4, "attributes": {"track_id": 4}}
        for n in range(len(names))
    ]
    return json.dumps(
        {"images": images, "annotations": boxes, "categories": [{"id": 7, "name": "ant"}]}
        | {"videos": [{"id": 1, "name": "v", "fps": 10}]}
    )


def _coco(folder: Path) -> None:
    names = ["0.png", "1.png"]
    for number, name in enumerate(names):
        _picture(folder / "images" / name, value=number)
    _text(folder / "annotations" / "a.json", _coco_json(names))


def _coco_video(folder: Path) -> None:
    _video(folder / "v.mp4")
    _text(folder / "a.json", _coco_json(["v.mp4#0", "v.mp4#2"]))


_TABLE = "frame,class,track_id,ymin,xmin,ymax,xmax\n0,ant,1,2,3,12,14\n1,bee,,2,3,12,14.5\n"


def _table(folder: Path) -> None:
    for number in (0, 1):
        _picture(folder / "s" / f"{number}.png", value=number)
    _text(folder / "s.csv", _TABLE)


def _table_of_video(folder: Path) -> None:
    _video(folder / "s.mp4")
    _text(folder / "s.csv", _TABLE)


def _sequences(folder: Path) -> None:
    from lstd.data import convert, synthesize

    scene = synthesize.Scene(videos=2, frames=3, height=_SIZE[0], width=_SIZE[1], objects=1)
    settings = convert.Settings(frames_per_record=2, frames_per_shard=3)
    convert.convert(synthesize.source(scene), folder, settings, workers=1)


def _examples(folder: Path) -> None:
    more = {"image/object/is_crowd": (0, 0), "image/object/track/label": (4, 5)}
    record = test_records.example(**{k: test_records.feature(*v) for k, v in more.items()})
    test_records.write(folder / "example.tfrecord", record, record)


def _cvat(folder: Path) -> None:
    _video(folder / "street.mp4")
    _text(folder / "annotations.xml", test_tools.CVAT_VIDEO)


def _voc(folder: Path) -> None:
    for number in range(2):
        content = test_tools.VOC.format(name=f"{number}.png", database="", more=test_tools.TRACK)
        _text(folder / "Annotations" / f"{number}.xml", content)
        _picture(folder / "JPEGImages" / f"{number}.png", value=number)
    _text(folder / "ImageSets" / "Main" / "val.txt", "1\n")
    _text(folder / "labelmap.txt", "# label:color\nbackground:::\nwasp:::\nbee:::\n")


def _label_studio(folder: Path) -> None:
    _video(folder / "street.mp4")
    box = {"enabled": True, "rotation": 0, "x": 10, "y": 20, "width": 10, "height": 40, "frame": 1}
    value = {"framesCount": 3, "duration": 0.3, "sequence": [box, {**box, "frame": 3}]}
    result = {"type": "videorectangle", "value": {**value, "labels": ["ant"]}}
    task = {"data": {"video": "/data/street.mp4"}, "annotations": [{"result": [result]}]}
    _text(folder / "project.json", json.dumps([task]))


def _tracking_set(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        labels, content, images, first, *_ = test_tools.SETS[name]
        _text(folder / labels, content)
        for number in range(3):
            _picture(folder / images.format(first + number), value=number)

    return make


def _read_data(name: str) -> Callable[[Path, Random], int | None]:
    """Returns what inspects, validates or converts a data set of a format."""

    def run(folder: Path, rng: Random) -> int | None:
        more = [f"--format={name}"] if rng.random() < 0.5 else []
        if rng.random() < 0.2:
            more.append(rng.choice(("--folders", "--stills", "--subset=train", "--max_boxes=1")))
        out = folder.parent / "out"
        verb = rng.choice(("inspect", "inspect", "validate", "validate", "convert", "split"))
        if verb == "inspect" and rng.random() < 0.3:
            more.append(f"--output={folder.parent / 'sheet.png'}")
        if verb in ("convert", "split"):
            more += ["--workers=1", f"--output_directory={out}"]
            if rng.random() < 0.6:
                more.append(f"--problems={rng.choice(('repair', 'skip'))}")
        return data.main([verb, f"--input={folder}", *more])

    return run


def _train_on(name: str) -> Callable[[Path, Random], int | None]:
    """Returns what takes clips for training or evaluation."""

    def run(folder: Path, rng: Random) -> int | None:
        from lstd.config.data_config import DataConfig, DatasetConfig
        from lstd.data import pipeline

        problems = {"corrupt_image": rng.choice(("skip", "repair"))}
        split = rng.choice(("train", "evaluation"))
        place = next(folder.glob("*.tfrecord"), folder)
        more = {} if place != folder else {"format": name}
        config = DatasetConfig((str(place),), batch_size=1, unroll_length=2, problems=problems)
        config = dataclasses.replace(config, height=24, width=32, **more)
        data = DataConfig(**{split: config})
        for _ in pipeline.make_dataset(data, split, num_classes=3).take(3):
            pass
        return None

    return run


def _config(folder: Path) -> None:
    from lstd.config import config_io
    from lstd.config.config import Config

    config_io.save_config(Config(), folder / "a.yaml")


def _pipeline(folder: Path) -> None:
    from tests.tf1.test_pipeline_config import INTERLEAVED

    _text(folder / "a.config", INTERLEAVED)


def _read_config(folder: Path, rng: Random) -> int | None:
    path = next(iter(folder.iterdir()), folder / "a.yaml")
    out = folder.parent / "out.yaml"
    code = data.main(["config-to-yaml", f"--config={path}", f"--output={out}"])
    if (code == 0) != out.exists():
        raise RuntimeError(f"exit code {code}, but out.yaml is there: {out.exists()}")
    return code


_KEYS = ("model.num_classes", "model.labels", "train.steps", "data.train.problems", "model", "a.b")


def _read_settings(folder: Path, rng: Random) -> int | None:
    sets = [f"--set={rng.choice(_KEYS)}={rng.choice(HOSTILE)}" for _ in range(2)]
    sets.append(f"--config_override={(folder / 'a.config').read_bytes().decode(errors='replace')}")
    out = folder.parent / "out.yaml"
    return data.main(["config-to-yaml", "--config=sowbug_demo", f"--output={out}", *sets])


def _override(folder: Path) -> None:
    _text(folder / "a.config", "train_config { num_steps: 9 optimizer { adam_optimizer { } } }")


def _label_maps(folder: Path) -> None:
    _text(folder / "a.pbtxt", "item { id: 1 name: 'ant' }\nitem { id: 2 display_name: 'b' }\n")
    _text(folder / "a.txt", "ant\nbee\n")


def _read_label_maps(folder: Path, rng: Random) -> int | None:
    from lstd.base import label_map
    from lstd.export import options

    for path in sorted(folder.iterdir()):
        rng.choice((label_map.load, lambda p: options.read_labels(str(p))))(path)
    return None


def _results(folder: Path) -> None:
    _text(folder / "truth.json", _coco_json(["0.png", "1.png", "2.png"]))
    box = {"category_id": 7, "bbox": [2, 3, 9, 8], "score": 0.5, "network": "large"}
    _text(folder / "found.json", json.dumps([{"image_id": n, **box} for n in range(3)]))
    _text(folder / "latency.json", json.dumps({"large": 50.5, "small": [9, 10]}))


def _score(folder: Path, rng: Random) -> int | None:
    metrics = rng.choice(("coco", "vid", "vid_ap50", "flicker", "sap", "confusion", "size"))
    more = [f"--latency={folder / 'latency.json'}"] if metrics == "sap" else []
    if rng.random() < 0.2:
        more += [f"--against={folder / 'found.json'}", "--draws=9"]
    more += [f"--metrics={metrics}", f"--output_directory={folder.parent / 'out'}"]
    files = f"--detections={folder / 'found.json'}", f"--annotations={folder / 'truth.json'}"
    return evaluate.main([*files, *more])


def _histories(folder: Path) -> None:
    _text(folder / "history.csv", "epoch,step,loss\n0,10,1.5\n")
    _text(folder / "run.json", json.dumps({"starts": [{"step": 0}], "best": {"epoch": 1}}))


def _read_histories(folder: Path, rng: Random) -> int | None:
    from lstd.training import history
    from lstd.training.run_folder import RunFolder

    history.read_history(folder / "history.csv")
    RunFolder(folder).read_record()
    return None


def _metadata(folder: Path) -> None:
    facts = {
        **{"format": "lstd", "labels": ["ant", "bee"], "schedule": {"default": "SKIP1"}},
        **{"postprocessing": {"max_classes_per_detection": 1}, "entry_points": ["large"]},
    }
    _text(folder / "model.json", json.dumps(facts))
    # The header of a FlatBuffer with one empty table, into which the metadata go.
    root, vtable = 24, b"\x04\0\x04\0"
    content = root.to_bytes(4, "little") + b"TFL3" + bytes(12) + vtable
    content += (4).to_bytes(4, "little") + bytes(64)
    from lstd.base import tflite_metadata

    inside = tflite_metadata.embed(content, json.dumps(facts))
    (folder / "inside.tflite").write_bytes(inside)


def _read_metadata(folder: Path, rng: Random) -> int | None:
    from lstd.runtime import exported_file

    exported_file.metadata_of(folder / rng.choice(("inside.tflite", ".")))
    return None


@functools.cache
def _dense() -> Any:
    import tf_keras as keras

    return keras.Sequential([keras.layers.Dense(2, input_shape=(3,))])


def _weights(folder: Path) -> None:
    import h5py
    import tensorflow as tf

    arrays = {"a/weights": np.ones([3, 2], np.float32), "global_step": np.int64(7)}
    np.savez(folder / "a.npz", **arrays)  # type: ignore[arg-type]
    tf.raw_ops.SaveV2(
        prefix=str(folder / "a.ckpt"),
        tensor_names=[*arrays],
        shape_and_slices=[""] * len(arrays),
        tensors=[*map(tf.constant, arrays.values())],
    )
    with h5py.File(folder / "a.h5", "w") as file:
        file["conv1/conv1/kernel:0"] = arrays["a/weights"]
    _dense().save_weights(folder / "a.weights.h5")


def _read_weights(folder: Path, rng: Random) -> int | None:
    from lstd.checkpoints import named_arrays
    from lstd.training import weights_file

    kind = rng.randrange(4)
    if kind == 0:
        named_arrays.read_hdf5(folder / "a.h5", "file of weights")
    elif kind == 1:
        weights_file.load(_dense(), folder / "a.weights.h5")
    else:
        found = named_arrays.open_source(folder / ("a.npz", "a.ckpt")[kind - 2])
        for name in found.shapes:
            found.read(name)
    return None


def _convert(folder: Path, out: str, *more: str) -> int:
    sizes = ("--workers=1", "--frames_per_shard=1", "--frames_per_record=1")
    places = (f"--input={folder / 'in'}", f"--output_directory={folder / out}")
    return data.main(["convert", *places, *sizes, *more])


def _conversion(folder: Path) -> None:
    _table(folder / "in")
    _convert(folder, "whole")
    picture = folder / "in" / "s" / "1.png"
    kept = picture.read_bytes()
    picture.write_bytes(b"")
    _convert(folder, "half")
    picture.write_bytes(kept)
    if not (folder / "half" / ".conversion").is_dir() or not (folder / "whole").is_dir():
        raise RuntimeError("the samples were not converted")


def _resume_conversion(folder: Path, rng: Random) -> int | None:
    return _convert(folder, rng.choice(("half", "half", "whole")), "--resume")


def _frames(folder: Path) -> None:
    for number in (1, 2):
        _picture(folder / "images" / f"{number}.jpg", value=number)
    _picture(folder / "images" / "3.png", value=3)
    for name in ("a.gif", "a.webp", "a.bmp", "a.tif"):
        _picture(folder / "other" / name, value=5)
    _video(folder / "v.mp4")


def _read_frames(folder: Path, rng: Random) -> int | None:
    from lstd.data import source_images
    from lstd.data.sources import ImageFile
    from lstd.media import numbered_frames, video

    kind = rng.randrange(4)
    if kind == 0:
        _ = [*video.read_frames(folder / "images")]
    elif kind == 1:
        _ = [*video.read_frames(folder / "v.mp4")]
    elif kind == 2:
        _ = [*numbered_frames.read(str(folder / "v.mp4"), 1, 5)]
    else:
        for path in sorted((folder / "other").iterdir()):
            source_images.encoded(ImageFile(str(path)), where="here")
    return None


def _cutouts(folder: Path) -> None:
    cut = np.full([8, 8, 4], 255, np.uint8)
    (folder / "cutouts").mkdir()
    Image.fromarray(cut).save(folder / "cutouts" / "ant_1.png")
    _picture(folder / "backgrounds" / "b.png", value=40)


def _synthesize(folder: Path, rng: Random) -> int | None:
    flags = ["--videos=1", "--frames=2", "--height=32", "--width=32", "--workers=1"]
    flags += [f"--{name}={folder / name}" for name in ("cutouts", "backgrounds")]
    out = f"--output_directory={folder.parent / 'out'}"
    return data.main(["synthesize", *flags, out, f"--seed={rng.randrange(9)}"])


_FLAGS = {
    "inspect": "input images subset format label_map videos frames config set output folders",
    "validate": "input examples max_boxes on_problem problems check_images format",
    "convert": "quality frames_per_record frames_per_shard workers prefix image_format max_boxes",
    "split": "seed parts names output_directory prefix quality lists_only",
    "synthesize": "videos frames height width objects shapes min_size max_size speed blur noise "
    "occlusion min_bar max_bar min_visible seed output_format",
    "eval": "model input schedule metrics max_frames fps latency draws worst_frames "
    "labels weights config set threads",
    "export": "model labels max_detections unroll_length representative_data check_frames set "
    "quantization signature network threads schedule check",
    "detect": "model input output_directory schedule max_frames min_score delay threads labels",
    "benchmark": "model against schedule turns frames warm_up threads json config",
    "train": "config output_directory set threads resume",
}


def _use_flags(folder: Path, rng: Random) -> int | None:
    command = rng.choice(sorted(_FLAGS))
    values = ["2147483648", *HOSTILE, str(folder / "s.csv"), str(folder), "s"]
    names = _FLAGS[command].split()
    given = [f"--{rng.choice(names)}={rng.choice(values)}" for _ in range(rng.randrange(1, 4))]
    out, source = f"--output_directory={folder.parent / 'out'}", f"--input={folder / 's.csv'}"
    mains = {"eval": evaluate, "export": export, "detect": detect, "train": train}
    if command in mains:
        return mains[command].main([out, *given])
    if command == "benchmark":
        return benchmark.main(given)
    small = ["--videos=1", "--frames=1", "--height=32", "--width=32"]
    first = small if command == "synthesize" else [source]
    more = [out, "--workers=1"] if command in ("convert", "split", "synthesize") else []
    return data.main([command, *first, *more, *given])


TARGETS = {
    "vid": Target(_vid, _read_data("imagenet_vid")),
    "mot": Target(_mot, _read_data("mot"), 8),
    "yolo": Target(_yolo, _read_data("yolo"), 8),
    "yolo_bare": Target(_yolo_bare, _read_data("yolo"), 3),
    "coco": Target(_coco, _read_data("coco"), 10),
    "coco_video": Target(_coco_video, _read_data("coco"), 3),
    "table": Target(_table, _read_data("csv"), 6),
    "table_of_video": Target(_table_of_video, _read_data("csv"), 3),
    "cvat": Target(_cvat, _read_data("cvat")),
    "voc": Target(_voc, _read_data("voc"), 4),
    "label_studio": Target(_label_studio, _read_data("label_studio")),
    **{name: Target(_tracking_set(name), _read_data(name), 3) for name in test_tools.SETS},
    "sequences": Target(_sequences, _read_data("sequence_example"), 8),
    "examples": Target(_examples, _read_data("tf_example"), 8),
    "clips_of_sequences": Target(_sequences, _train_on("sequence_example"), 1),
    "clips_of_coco": Target(_coco, _train_on("coco"), 1),
    "clips_of_table": Target(_table_of_video, _train_on("csv"), 1),
    "config": Target(_config, _read_config, 8),
    "pipeline": Target(_pipeline, _read_config, 8),
    "settings": Target(_override, _read_settings),
    "label_maps": Target(_label_maps, _read_label_maps),
    "results": Target(_results, _score, 10),
    "histories": Target(_histories, _read_histories),
    "metadata": Target(_metadata, _read_metadata),
    "weights": Target(_weights, _read_weights),
    "conversion": Target(_conversion, _resume_conversion, 4),
    "frames": Target(_frames, _read_frames),
    "cutouts": Target(_cutouts, _synthesize, 3),
    "flags": Target(_table, _use_flags, 8),
}
