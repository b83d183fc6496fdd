package lstd.app

import android.content.res.AssetManager
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer
import lstd.Facts
import lstd.Found
import lstd.Network
import lstd.bytesOf

private val FOUND = listOf("detection_boxes", "detection_classes", "detection_scores", "num_detections")

/** A file of lstd-export in LiteRT, on the processor; for one thread at a time. */
class LiteRtNetwork(
    assets: AssetManager,
    name: String,
    facts: Facts,
    private val bytes: Boolean,
    threads: Int,
) : Network<LiteRtNetwork.Memory>, AutoCloseable {
    class Memory(val c: TensorBuffer, val h: TensorBuffer)

    private val model = CompiledModel.create(
        assets,
        name,
        CompiledModel.Options(Accelerator.CPU).apply {
            cpuOptions = CompiledModel.CpuOptions(numThreads = threads)
        },
    )
    private val buffers = mutableListOf<TensorBuffer>()

    // All entry points have the same inputs and outputs, so they share the buffers of the first.
    private val first = facts.entryPoints.first()
    private val image = input("image")
    private val found = FOUND.associateWith { model.createOutputBuffer(it, first).also(buffers::add) }

    override fun newMemory() = Memory(input("lstm_c"), input("lstm_h")).also(::clear)

    override fun clear(memory: Memory) {
        for (buffer in listOf(memory.c, memory.h)) buffer.writeFloat(FloatArray(buffer.readFloat().size))
    }

    override fun read(memory: Memory) = listOf(memory.c.readFloat(), memory.h.readFloat())

    override fun run(entryPoint: String, image: FloatArray, before: Memory, after: Memory): Found {
        if (bytes) this.image.writeInt8(bytesOf(image)) else this.image.writeFloat(image)
        model.run(
            mapOf("image" to this.image, "lstm_c" to before.c, "lstm_h" to before.h),
            found + mapOf("lstm_c_out" to after.c, "lstm_h_out" to after.h),
            entryPoint,
        )
        val (boxes, classes, scores, count) = FOUND.map { found.getValue(it).readFloat() }
        return Found(boxes, classes, scores, count[0])
    }

    override fun close() {
        buffers.forEach { it.close() }
        model.close()
    }

    private fun input(name: String) = model.createInputBuffer(name, first).also(buffers::add)
}
