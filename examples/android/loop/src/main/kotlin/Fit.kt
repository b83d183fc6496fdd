package lstd

/** Returns a picture as the network takes it: TensorFlow 1's bilinear resize, RGB or grey, 0 to 255. */
fun fit(picture: Picture, facts: Facts): FloatArray {
    val rows = places(picture.height, facts.height)
    val columns = places(picture.width, facts.width)
    val image = FloatArray(facts.height * facts.width * facts.channels)
    val rgb = FloatArray(3)
    var at = 0
    for (row in rows) {
        val upper = row.low * picture.width
        val lower = row.high * picture.width
        for (column in columns) {
            val topLeft = picture.pixels[upper + column.low]
            val topRight = picture.pixels[upper + column.high]
            val bottomLeft = picture.pixels[lower + column.low]
            val bottomRight = picture.pixels[lower + column.high]
            for (channel in 0..2) {
                val shift = 16 - 8 * channel
                val top = mix(topLeft shr shift and 255, topRight shr shift and 255, column.weight)
                val bottom = mix(bottomLeft shr shift and 255, bottomRight shr shift and 255, column.weight)
                rgb[channel] = top + (bottom - top) * row.weight
            }
            if (facts.channels == 1) {
                image[at++] = 0.2989f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]
            } else {
                for (value in rgb) image[at++] = value
            }
        }
    }
    return image
}

/** Returns an image as bytes, for a file with uint8 input. */
fun bytesOf(image: FloatArray) = ByteArray(image.size) { Math.rint(image[it].toDouble()).toInt().toByte() }

private fun mix(left: Int, right: Int, weight: Float) = left + (right - left) * weight

/** Where a number of an axis reads: two places, and the weight of the second. */
private class Place(val low: Int, val high: Int, val weight: Float)

private fun places(length: Int, size: Int): List<Place> {
    val scale = length.toFloat() / size
    return List(size) {
        val source = it * scale // in float, as in training: there is no offset of half a pixel
        val low = source.toInt().coerceAtMost(length - 1)
        Place(low, (low + 1).coerceAtMost(length - 1), source - low)
    }
}

/** Where a picture stands that a view shows whole and in its middle. */
class Placement(width: Int, height: Int, viewWidth: Int, viewHeight: Int) {
    private val scale = minOf(viewWidth.toFloat() / width, viewHeight.toFloat() / height)
    private val shownWidth = width * scale
    private val shownHeight = height * scale
    private val left = (viewWidth - shownWidth) / 2
    private val top = (viewHeight - shownHeight) / 2

    /** Returns the pixels of the view that a box of the picture covers. */
    fun of(box: Box) = Box(
        top + box.top * shownHeight,
        left + box.left * shownWidth,
        top + box.bottom * shownHeight,
        left + box.right * shownWidth,
    )
}
