package lstd.app

import android.Manifest
import android.graphics.Bitmap
import android.graphics.Color
import android.os.Bundle
import android.os.SystemClock
import android.widget.FrameLayout
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts.RequestPermission
import androidx.camera.core.CameraSelector
import androidx.camera.core.ImageAnalysis
import androidx.camera.lifecycle.ProcessCameraProvider
import java.io.FileNotFoundException
import java.util.concurrent.Executors
import lstd.Detector
import lstd.Picture
import lstd.goldenDifference

private const val MODEL = "model.tflite"
private const val FACTS = "model.json"
private const val THREADS = 1 // what more bring on a phone was not measured: docs/apps.md, "Threads"

class MainActivity : ComponentActivity() {
    // Loads and runs the network. Frames that come meanwhile are dropped.
    private val worker = Executors.newSingleThreadExecutor()
    private var network: LiteRtNetwork? = null
    private var detector: Detector<LiteRtNetwork.Memory>? = null

    private lateinit var view: DetectionView
    private lateinit var text: TextView
    private val permission = registerForActivityResult(RequestPermission()) { allowed ->
        if (allowed) openCamera() else say("Allow the camera in the settings of this app")
    }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        view = DetectionView(this)
        text = TextView(this).apply {
            setTextColor(Color.WHITE)
            fitsSystemWindows = true
        }
        setContentView(FrameLayout(this).apply { addView(view); addView(text) })
        worker.execute { orSay { load() } }
    }

    override fun onStart() {
        super.onStart()
        worker.execute { detector?.reset() } // The scene is another one by now.
        permission.launch(Manifest.permission.CAMERA)
    }

    override fun onDestroy() {
        super.onDestroy()
        worker.execute {
            detector = null
            network?.close()
        }
        worker.shutdown()
    }

    private fun load() {
        val told = try {
            assets.open(MODEL).close()
            assets.open(FACTS).bufferedReader().use { it.readText() }
        } catch (missing: FileNotFoundException) {
            error("Copy $MODEL and $FACTS of lstd-export to app/src/main/assets (${missing.message})")
        }
        val export = Export(told)
        val made = LiteRtNetwork(assets, MODEL, export.facts, export.bytes, THREADS)
        network = made
        for (name in export.facts.entryPoints) {
            goldenDifference(made, export.facts, name, export.goldenOf(name))?.let { error(it) }
        }
        detector = Detector(made, export.facts)
        view.minScore = export.minScore
    }

    private fun openCamera() {
        val analysis = ImageAnalysis.Builder()
            .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
            .setOutputImageFormat(ImageAnalysis.OUTPUT_IMAGE_FORMAT_RGBA_8888)
            .setOutputImageRotationEnabled(true) // Upright, however the phone is held.
            .build()
        analysis.setAnalyzer(worker) { image -> image.use { orSay { look(it.toBitmap()) } } }
        val provider = ProcessCameraProvider.getInstance(this)
        val bind = Runnable {
            orSay {
                provider.get().unbindAll()
                provider.get().bindToLifecycle(this, CameraSelector.DEFAULT_BACK_CAMERA, analysis)
            }
        }
        provider.addListener(bind, mainExecutor)
    }

    private fun look(frame: Bitmap) {
        val detector = detector ?: return
        val started = SystemClock.elapsedRealtimeNanos()
        val pixels = IntArray(frame.width * frame.height)
        frame.getPixels(pixels, 0, frame.width, 0, 0, frame.width, frame.height)
        val answer = detector.detect(Picture(pixels, frame.width, frame.height))
        val milliseconds = (SystemClock.elapsedRealtimeNanos() - started) / 1e6
        runOnUiThread { view.show(frame, answer) }
        say("%s, %.1f ms".format(answer.network, milliseconds))
    }

    private fun orSay(action: () -> Unit) =
        try {
            action()
        } catch (problem: Exception) {
            say(problem.message ?: problem.toString())
        }

    private fun say(sentence: String) = runOnUiThread { text.text = sentence }
}
