"""What the numbers mean, in a few words each; docs/metrics.md defines them."""

from __future__ import annotations

_MEANINGS = {
    "coco/ap": "mean over IoU 0.50 to 0.95",
    "coco/ap50": "at IoU 0.50",
    "coco/ap75": "at IoU 0.75",
    "coco/ap_small": "objects below 32 x 32 pixels",
    "coco/ap_medium": "objects in between",
    "coco/ap_large": "objects above 96 x 96 pixels",
    "coco/ar1": "recall with one detection a frame",
    "coco/ar10": "recall with ten",
    "coco/ar100": "recall with a hundred",
    "coco/ar_small": "recall of small objects",
    "coco/ar_medium": "recall of medium objects",
    "coco/ar_large": "recall of large objects",
    "vid/ap50": "ImageNet VID's AP at IoU 0.5",
    "vid/ap50_slow": "of slow objects, motion IoU from 0.9",
    "vid/ap50_medium": "of objects in between",
    "vid/ap50_fast": "of fast objects, motion IoU up to 0.7",
    "vid/classes": "classes in that mean",
    "vid/classes_slow": "classes in the mean of slow objects",
    "vid/classes_medium": "classes in the mean in between",
    "vid/classes_fast": "classes in the mean of fast objects",
    "sap/missed": "share of frames with no output yet",
    "sap/in_time": "share of frames that show their own output",
    "sap/lag_frames": "mean age of what is shown, in frames",
    "distance/fade_ap50": "AP50 just after a large frame, less that farthest from one",
    "confusion/found": "share of objects that a detection stands on",
    "confusion/right_class": "of those, share with the right class",
    "confusion/false": "share of detections that stand on nothing",
    "flicker/rate": "share of steps in which an object appears or disappears",
    "flicker/lost": "of objects that were found, share lost in the next frame",
    "flicker/found": "share of objects found, frame by frame",
}


def meaning(name: str) -> str:
    """Returns what a number means, "" for one that has no words of its own.

    >>> meaning("sap/ap50")
    'streaming, at IoU 0.50'

    Args:
        name: without a schedule before it.
    """
    if name in _MEANINGS:
        return _MEANINGS[name]
    of_coco = _MEANINGS.get(name.replace("sap/", "coco/", 1))
    return f"streaming, {of_coco}" if of_coco else ""
