package lstd.app

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.RectF
import android.view.View
import lstd.Answer
import lstd.Box
import lstd.Placement

/** Shows the frame that the network saw last, and what it found there. */
class DetectionView(context: Context) : View(context) {
    private val density = resources.displayMetrics.density
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = Color.YELLOW
        style = Paint.Style.STROKE
        strokeWidth = 2 * density
    }
    private val letters = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = Color.YELLOW
        textSize = 16 * density
    }
    private var frame: Bitmap? = null
    private var answer: Answer? = null

    /** From this score on boxes are drawn. */
    @Volatile
    var minScore = 0f

    fun show(frame: Bitmap, answer: Answer) {
        this.frame = frame
        this.answer = answer
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        canvas.drawColor(Color.BLACK)
        val frame = frame ?: return
        val placement = Placement(frame.width, frame.height, width, height)
        canvas.drawBitmap(frame, null, placement.of(Box(0f, 0f, 1f, 1f)).rectangle(), null)
        for (detection in answer?.detections.orEmpty()) {
            if (detection.score < minScore) continue
            val rectangle = placement.of(detection.box).rectangle()
            canvas.drawRect(rectangle, line)
            val text = "${detection.label} ${(100 * detection.score).toInt()} %"
            canvas.drawText(text, rectangle.left, rectangle.top - 4 * density, letters)
        }
    }

    private fun Box.rectangle() = RectF(left, top, right, bottom)
}
