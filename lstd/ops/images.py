"""Frames before the network: from and to JPEG and PNG, size, channels, range."""

import numpy as np
import tensorflow as tf


def decode(encoded: bytes | tf.Tensor) -> tf.Tensor:
    """Returns uint8 `[H, W, 3]` of a JPEG or PNG string; a grey image is repeated over channels."""
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])


def encode(image: np.ndarray, image_format: str, *, quality: int = 95) -> bytes:
    """Returns uint8 `[H, W, 3]` as a JPEG of a quality from 1 to 100, or as a PNG.

    Raises:
        ValueError: an unknown format, or an image of another type or shape.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected a frame of uint8 [H, W, 3], got {image.dtype} {image.shape}")
    if image_format not in ("jpeg", "png"):
        raise ValueError(f"image_format must be 'jpeg' or 'png', got {image_format!r}")
    if image_format == "png":
        return tf.io.encode_png(image).numpy()
    return tf.io.encode_jpeg(image, format="rgb", quality=quality).numpy()


def resize(images: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns images of another size, by the bilinear resize of TensorFlow 1.

    A destination pixel i reads the source at i * in / out, without a half-pixel offset; neighbours
    beyond the border are the border. Networks trained under TensorFlow 1 expect exactly this.
    Takes uint8 or float `[N, H, W, C]`, else raises a ValueError, and gives float32 in the same
    range; only a cast where the size fits.
    """
    images = tf.convert_to_tensor(images)
    if images.shape.rank not in (4, None):
        raise ValueError(f"images must be [N, H, W, C], got shape {images.shape}")
    images = tf.cast(images, tf.float32)
    if images.shape.rank == 4 and images.shape[1:3] == (height, width):
        return images
    return tf.raw_ops.ResizeBilinear(
        images=images, size=[height, width], align_corners=False, half_pixel_centers=False
    )


def normalize(images: tf.Tensor) -> tf.Tensor:
    """Returns images of [0, 255] in [-1, 1], float32, any shape: `x * 2 / 255 - 1`."""
    return (2.0 / 255.0) * tf.cast(images, tf.float32) - 1.0


def half_resolution(images: tf.Tensor) -> tf.Tensor:
    """Returns every second row and column of `[N, H, W, C]`: `[N, ceil(H / 2), ceil(W / 2), C]`.

    For an even size it is what `resize` to half the size gives, bit for bit: no average is taken
    of more than one pixel. A slice with steps would take longer. The images are float.
    """
    return tf.nn.avg_pool2d(images, 1, 2, "VALID")


def half_normalized(images: tf.Tensor) -> tf.Tensor:
    """Returns `half_resolution(normalize(images))`, up to rounding, in what XNNPACK runs.

    A slice with steps it leaves to slow general code. A 1x1 convolution of stride 2 scales and
    shifts on the way. Takes uint8 or float32 in [0, 255], `[N, H, W, C]`, C static.
    """
    images = tf.cast(images, tf.float32)
    channels = images.shape[-1]
    kernel = tf.reshape((2.0 / 255.0) * tf.eye(channels), [1, 1, channels, channels])
    scaled = tf.nn.conv2d(images, kernel, strides=2, padding="VALID")
    return tf.nn.bias_add(scaled, tf.fill([channels], -1.0))


def to_channels(images: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns images `[..., H, W, C]` with another number of channels, 1 (grey) or 3 (RGB).

    Grey is repeated three times, in the dtype of `images`; colours become 0.2989 R + 0.587 G +
    0.114 B, not rounded, float32 when `images` is of whole numbers.

    Raises:
        ValueError: for any other number of channels, in or out.
    """
    images = tf.convert_to_tensor(images)
    present = images.shape[-1]
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels}")
    if present not in (1, 3):
        raise ValueError(
            f"images must have 1 (grey) or 3 (RGB) channels on the last axis, got shape "
            f"{images.shape}; drop an alpha channel first"
        )
    if present == channels:
        return images
    if channels == 3:
        return tf.image.grayscale_to_rgb(images)
    if not images.dtype.is_floating:  # TensorFlow would round the grey value
        images = tf.cast(images, tf.float32)
    return tf.image.rgb_to_grayscale(images)
