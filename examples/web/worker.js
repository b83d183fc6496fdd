// Runs the network beside the page. In: {model} (bytes), then {frame, skip, memory, restart} one at a
// time. Out: {facts}, then {network, ms, detections, frame}; or {error}, a sentence.
import { Detector } from "./detector.js";
import { Refusal } from "./metadata.js";

const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
let detector;

onmessage = async ({ data }) => {
  try {
    if (data.model) {
      detector = await Detector.load(new Uint8Array(data.model));
      postMessage({ facts: detector.facts });
    } else {
      postMessage({ ...(await seen(data)), frame: data.frame }, [data.frame]);
    }
  } catch (error) {
    const reason = String(error.message ?? error).split("\n")[0];
    postMessage({
      error: error instanceof Refusal ? reason : `the network stopped (${reason}); choose it again`,
    });
  }
};

function seen({ frame, skip, memory, restart }) {
  if (restart) detector.forget();
  if (!memory) detector.clear();
  const { width, height } = frame;
  if (pen.canvas.width !== width || pen.canvas.height !== height)
    Object.assign(pen.canvas, { width, height });
  pen.drawImage(frame, 0, 0);
  return detector.detect(pen.getImageData(0, 0, width, height), skip);
}
