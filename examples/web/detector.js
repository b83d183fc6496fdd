// The loop that docs/export.md tells of: resize, schedule, memory, boxes. It runs in the worker.
import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { factsOf, Refusal } from "./metadata.js";

const runtime = loadLiteRt("./"); // Its files lie beside the worker.
runtime.catch(() => {}); // Whoever loads a network is told.

export class Detector {
  /** Returns the detector of a file's bytes, or throws a Refusal. */
  static async load(bytes) {
    const facts = await factsOf(bytes);
    try {
      await runtime;
      return new Detector(facts, await loadAndCompile(bytes, { accelerator: "wasm" }));
    } catch (error) {
      throw new Refusal(`LiteRT.js cannot load it (${String(error.message ?? error).split("\n")[0]})`);
    }
  }

  constructor(facts, model) {
    this.facts = facts;
    this.model = model;
    this.networks = Object.keys(model.signatures); // large and small, or one of large, small, step
    const [, height, width, channels] = facts.input.shape;
    const type = { float32: Float32Array, uint8: Uint8ClampedArray }[facts.input.dtype];
    this.image = new type(height * width * channels);
    this.forget();
  }

  /** Starts another video: the memory is zero, and frames count from 0. */
  forget() {
    this.number = 0;
    this.clear();
  }

  /** Makes the memory zero. */
  clear() {
    const { inputs, shape } = this.facts.state;
    const zeros = new Float32Array(shape.reduce((product, size) => product * size));
    this.keep(Object.fromEntries(inputs.map((name) => [name, new Tensor(zeros, shape)])));
  }

  /** Keeps a memory, and frees the one before it. */
  keep(state) {
    Object.values(this.state ?? {}).forEach((tensor) => tensor.delete());
    this.state = state;
  }

  /** Returns what is in the next frame (ImageData): one large network, then `skip` small ones. */
  async detect(frame, skip) {
    const started = performance.now();
    const turn = this.number % (skip + 1) ? "small" : "large";
    const network = this.networks.length > 1 ? turn : this.networks[0];
    fit(frame, this.image, this.facts.input.shape);
    // Clamped bytes round as they should, but LiteRT.js knows plain ones only.
    const pixels = this.facts.input.dtype === "uint8" ? new Uint8Array(this.image.buffer) : this.image;
    const image = new Tensor(pixels, this.facts.input.shape);
    let outputs;
    try {
      outputs = await this.model.run(network, { image, ...this.state });
    } finally {
      image.delete();
    }
    const { lstm_c_out: lstm_c, lstm_h_out: lstm_h, ...found } = outputs;
    this.keep({ lstm_c, lstm_h });
    const detections = this.read(found);
    Object.values(found).forEach((tensor) => tensor.delete());
    this.number++;
    return { network: network === "step" ? "large" : network, detections, ms: performance.now() - started };
  }

  read(outputs) {
    const [boxes, classes, scores, [count]] =
      ["detection_boxes", "detection_classes", "detection_scores", "num_detections"].map((name) =>
        outputs[name].toTypedArray());
    const rows = Math.min(count * this.facts.postprocessing.max_classes_per_detection, scores.length);
    return Array.from({ length: rows }, (_, row) => ({
      box: Array.from(boxes.subarray(4 * row, 4 * row + 4), (edge) => Math.min(Math.max(edge, 0), 1)),
      class: Math.round(classes[row]),
      label: this.facts.labels[Math.round(classes[row])] ?? `class ${classes[row]}`,
      score: scores[row],
    })).sort((one, other) => other.score - one.score);
  }
}

/** Writes a picture as the network takes it: TensorFlow 1's bilinear resize, RGB or grey, 0 to 255. */
function fit({ data, width, height }, image, [, rows, columns, channels]) {
  const across = axis(width, columns, 4);
  const down = axis(height, rows, 4 * width);
  for (let y = 0, at = 0; y < rows; y++) {
    const [upper, lower, below] = [down.low[y], down.high[y], down.weight[y]];
    const mixed = (left, right, weight) => {
      const top = data[upper + left] + (data[upper + right] - data[upper + left]) * weight;
      const bottom = data[lower + left] + (data[lower + right] - data[lower + left]) * weight;
      return top + (bottom - top) * below;
    };
    for (let x = 0; x < columns; x++) {
      const [left, right, weight] = [across.low[x], across.high[x], across.weight[x]];
      const red = mixed(left, right, weight);
      const green = mixed(left + 1, right + 1, weight);
      const blue = mixed(left + 2, right + 2, weight);
      if (channels === 1) {
        image[at++] = 0.2989 * red + 0.587 * green + 0.114 * blue;
      } else {
        image[at++] = red;
        image[at++] = green;
        image[at++] = blue;
      }
    }
  }
}

/** Returns where each of `size` numbers of an axis reads, two places and the weight of the second. */
function axis(length, size, step) {
  const [low, high, weight] = [new Int32Array(size), new Int32Array(size), new Float32Array(size)];
  const scale = Math.fround(length / size);
  for (let i = 0; i < size; i++) {
    const source = Math.fround(i * scale);
    const first = Math.min(Math.floor(source), length - 1);
    low[i] = first * step;
    high[i] = Math.min(first + 1, length - 1) * step;
    weight[i] = source - first;
  }
  return { low, high, weight };
}
