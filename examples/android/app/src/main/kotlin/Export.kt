package lstd.app

import lstd.Facts
import lstd.Found
import lstd.Golden
import org.json.JSONArray
import org.json.JSONObject

/** What model.json says. */
class Export(text: String) {
    private val told = JSONObject(text)
    private val input = told.getJSONObject("input")
    private val golden = told.getJSONObject("golden_frame")

    /** Whether images are bytes, not floats. */
    val bytes = input.getString("dtype") == "uint8"
    val facts: Facts

    /** From which score on boxes are shown; 0.5 where the file does not say it. */
    val minScore = told.optDouble("min_score", 0.5).toFloat()

    init {
        val postprocessing = told.getJSONObject("postprocessing")
        check(told.getJSONObject("form").getString("signature") == "streaming") {
            "The file takes clips; export it with --signature streaming"
        }
        check(postprocessing.getBoolean("included")) {
            "The file returns no boxes; export it without --noadd_postprocessing_op"
        }
        val schedule = told.getJSONObject("schedule").getString("default")
        val labels = told.getJSONArray("labels")
        facts = Facts(
            height = input.getInt("height"),
            width = input.getInt("width"),
            channels = input.getInt("channels"),
            rowsOfABox = postprocessing.getInt("max_classes_per_detection"),
            skip = if (schedule == "LARGE") 0 else schedule.removePrefix("SKIP").toIntOrNull() ?: 9,
            entryPoints = told.getJSONObject("entry_points").keys().asSequence().toSet(),
            labels = List(labels.length(), labels::getString),
        )
    }

    /** Returns what an entry point makes of the golden frame. */
    fun goldenOf(entryPoint: String): Golden {
        val expected = golden.getJSONObject("expected").getJSONObject(entryPoint)
        val boxes = expected.getJSONArray("detection_boxes")
        val memory = listOf("lstm_c_out_mean", "lstm_c_out_max", "lstm_h_out_mean", "lstm_h_out_max")
        return Golden(
            Found(
                List(boxes.length()) { floats(boxes.getJSONArray(it)).asList() }.flatten().toFloatArray(),
                floats(expected.getJSONArray("detection_classes")),
                floats(expected.getJSONArray("detection_scores")),
                expected.getDouble("num_detections").toFloat(),
            ),
            FloatArray(memory.size) { expected.getDouble(memory[it]).toFloat() },
            golden.getDouble("tolerance").toFloat(),
        )
    }
}

private fun floats(array: JSONArray) = FloatArray(array.length()) { array.getDouble(it).toFloat() }
