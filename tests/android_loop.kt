// Runs the loop of examples/android: what to do, and what the network finds, comes from stdin; what the network is
// asked and what the loop answers goes to stdout.
@file:JvmName("Main")

import java.io.DataInputStream
import java.io.DataOutputStream
import lstd.Box
import lstd.Detector
import lstd.Facts
import lstd.Found
import lstd.Golden
import lstd.Network
import lstd.Picture
import lstd.Placement
import lstd.bytesOf
import lstd.goldenDifference

private val input = DataInputStream(System.`in`.buffered())
private val output = DataOutputStream(System.out.buffered())

private fun floats() = FloatArray(input.readInt()) { input.readFloat() }

private fun found() = Found(floats(), floats(), floats(), input.readFloat())

private fun say(vararg values: Any) {
    for (value in values) {
        when (value) {
            is String -> output.writeUTF(value)
            is Int -> output.writeInt(value)
            is Float -> output.writeFloat(value)
            is FloatArray -> {
                output.writeInt(value.size)
                value.forEach(output::writeFloat)
            }
            is Box -> say(floatArrayOf(value.top, value.left, value.bottom, value.right))
        }
    }
}

private class Script(val bytes: Boolean) : Network<Int> {
    var made = 0

    override fun newMemory() = made++

    override fun clear(memory: Int) = say(memory)

    override fun read(memory: Int) = List(2) { floats() }

    override fun run(entryPoint: String, image: FloatArray, before: Int, after: Int): Found {
        val seen = if (bytes) bytesOf(image).map { (it.toInt() and 255).toFloat() }.toFloatArray() else image
        say(entryPoint, before, after, seen)
        return found()
    }
}

fun main(arguments: Array<String>) {
    val (height, width, channels, rows, skip) = arguments.take(5).map(String::toInt)
    val (names, labels) = arguments.slice(5..6).map { it.split(",") }
    val facts = Facts(height, width, channels, rows, skip, names.toSet(), labels)
    val network = Script(arguments[7] == "uint8")
    val detector = Detector(network, facts)
    while (input.available() > 0) {
        when (val command = input.readUTF()) {
            "frame" -> {
                val (frameHeight, frameWidth) = List(2) { input.readInt() }
                val pixels = IntArray(frameHeight * frameWidth) { input.readInt() }
                val answer = detector.detect(Picture(pixels, frameWidth, frameHeight))
                say(answer.network, answer.detections.size)
                for (found in answer.detections) say(found.type, found.label, found.score, found.box)
            }
            "reset" -> detector.reset()
            "golden" -> {
                val golden = Golden(found(), floats(), input.readFloat())
                say(goldenDifference(network, facts, names[0], golden) ?: "")
            }
            "place" -> {
                val placement = Placement(input.readInt(), input.readInt(), input.readInt(), input.readInt())
                say(placement.of(Box(input.readFloat(), input.readFloat(), input.readFloat(), input.readFloat())))
            }
            else -> error("no such command: $command")
        }
    }
    output.flush()
}
