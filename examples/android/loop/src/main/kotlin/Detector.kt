package lstd

import kotlin.math.roundToInt

/** What model.json says of a file, as far as the loop has to know. */
class Facts(
    val height: Int,
    val width: Int,
    val channels: Int,
    /** Rows of the detections that belong to one box: max_classes_per_detection. */
    val rowsOfABox: Int,
    /** Small frames after each large one: 9 of SKIP9. */
    val skip: Int,
    /** "large" and "small", or a single one. */
    val entryPoints: Set<String>,
    val labels: List<String>,
)

/** An upright picture of any size, row by row; a number holds 0xRRGGBB, and what is above it does not count. */
class Picture(val pixels: IntArray, val width: Int, val height: Int)

/** What an entry point found: rows of which only the first count, and those of [count] boxes do. */
class Found(val boxes: FloatArray, val classes: FloatArray, val scores: FloatArray, val count: Float)

/** A file, ready to run in some runtime, which keeps the memory of a video (c and h) in its own buffers. */
interface Network<Memory> {
    /** Returns a memory of zeros. */
    fun newMemory(): Memory

    fun clear(memory: Memory)

    /** Returns copies of c and h. */
    fun read(memory: Memory): List<FloatArray>

    /** Runs an entry point, which reads the memory [before] and writes [after], another one. */
    fun run(entryPoint: String, image: FloatArray, before: Memory, after: Memory): Found
}

/** A part of a picture, in [0, 1] of its height and width, or in pixels. */
data class Box(val top: Float, val left: Float, val bottom: Float, val right: Float)

class Detection(val type: Int, val label: String, val score: Float, val box: Box)

class Answer(val network: String, val detections: List<Detection>)

/** Finds the objects in the frames of one video. Each video or camera has its own; they may share the network. */
class Detector<Memory>(private val network: Network<Memory>, private val facts: Facts) {
    private var before = network.newMemory()
    private var after = network.newMemory()
    private var number = 0

    /** Starts another video: the memory is zero, and frames count from 0. */
    fun reset() {
        network.clear(before)
        number = 0
    }

    fun detect(frame: Picture): Answer {
        val turn = if (number % (facts.skip + 1) == 0) "large" else "small"
        val entryPoint = facts.entryPoints.singleOrNull() ?: turn
        val found = network.run(entryPoint, fit(frame, facts), before, after)
        before = after.also { after = before } // The memory changes hands; nothing is copied.
        number++
        return Answer(if (entryPoint == "step") "large" else entryPoint, detectionsOf(found))
    }

    private fun detectionsOf(found: Found): List<Detection> {
        val rows = (found.count.roundToInt() * facts.rowsOfABox).coerceAtMost(found.scores.size)
        return List(rows) { row ->
            val (top, left, bottom, right) = List(4) { found.boxes[4 * row + it].coerceIn(0f, 1f) }
            val type = found.classes[row].roundToInt()
            val label = facts.labels.getOrElse(type) { "class $type" }
            Detection(type, label, found.scores[row], Box(top, left, bottom, right))
        }.sortedByDescending { it.score }
    }
}
