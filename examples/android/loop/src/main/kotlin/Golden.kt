package lstd

import kotlin.math.abs

/** What golden_frame of model.json expects of an entry point. */
class Golden(
    val found: Found,
    /** Mean of c, greatest of c, mean of h, greatest of h. */
    val memory: FloatArray,
    val tolerance: Float,
)

/** Returns the golden frame, which any language can make. */
fun goldenImage(facts: Facts) = FloatArray(facts.height * facts.width * facts.channels) {
    ((it * 2654435761L and 0xFFFFFFFFL) shr 24).toFloat()
}

/** Returns what a network does otherwise than the exporter saw, a sentence, or null if nothing. */
fun <Memory> goldenDifference(
    network: Network<Memory>,
    facts: Facts,
    entryPoint: String,
    golden: Golden,
): String? {
    val after = network.newMemory()
    val found = network.run(entryPoint, goldenImage(facts), network.newMemory(), after)
    val memory = network.read(after).flatMap { listOf(it.average().toFloat(), it.max()) }
    val rows = golden.found.scores.indices
    val worst = (golden.memory.toList() zip memory).maxOf { (expected, seen) -> abs(expected - seen) }
    return when {
        found.count != golden.found.count ->
            "$entryPoint finds ${found.count} boxes in the golden frame, not ${golden.found.count}"
        // Rows whose scores are nearly equal may swap.
        !rows.all { row -> rows.any { same(golden.found, row, found, it, golden.tolerance) } } ->
            "$entryPoint finds other boxes in the golden frame than the exporter did"
        !(worst <= golden.tolerance) ->
            "$entryPoint remembers the golden frame otherwise than for the exporter, by $worst"
        else -> null
    }
}

private fun same(expected: Found, row: Int, seen: Found, other: Int, tolerance: Float): Boolean {
    val near = { one: Float, two: Float -> abs(one - two) <= tolerance }
    return expected.classes[row] == seen.classes[other] &&
        near(expected.scores[row], seen.scores[other]) &&
        (0..3).all { near(expected.boxes[4 * row + it], seen.boxes[4 * other + it]) }
}
