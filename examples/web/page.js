// The page: a source, the worker that looks at its frames one at a time, and what is drawn over them.
const byId = (id) => document.getElementById(id);
const [video, boxes, badge, message] = ["video", "boxes", "network", "message"].map(byId);
const RECENT = 50; // Frames of each network that its milliseconds are the mean of.
const SIMD = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0], // a function that returns a vector
  ...[10, 8, 1, 6, 0, 65, 0, 253, 15, 11], // of zeros
);

let worker;
let ready = false; // The worker has a network, and no frame.
let restart = true; // The next frame is the first of its video.
let source = 0; // Counts the videos.
let answer; // The last one, drawn until the next one.
let times, answered;
const said = {};

/** Shows a sentence about the network or the video, none where it is empty. */
function tell(about, sentence = "") {
  said[about] = sentence;
  message.textContent = Object.values(said).filter(Boolean).join(" ");
  message.hidden = !message.textContent;
}

/** Gives a network to a worker of its own: whatever the one before it did, it is gone. */
function openModel(name, bytes) {
  ready = false;
  tell("network");
  worker?.terminate();
  const mine = (worker = new Worker("worker.js"));
  mine.onerror = () => tell("network", "The worker that runs the network did not start: load the page again.");
  mine.onmessage = ({ data }) => {
    if (data.error) tell("network", `${name}: ${data.error}.`);
    else if (data.facts) showModel(name, data.facts);
    else show(data);
    ready = !data.error;
  };
  bytes.then(
    (model) => mine.postMessage({ model }, [model]),
    (error) => tell("network", `${name}: ${error.message}. Choose another file with Network.`),
  );
}

function showModel(name, { input, labels, schedule, entry_points, postprocessing, min_score }) {
  [times, answered, restart] = [{ large: [], small: [] }, [], true];
  const both = Object.keys(entry_points).length > 1;
  const [, skip] = /^SKIP(\d+)$/.exec(schedule.default) ?? [, schedule.default === "LARGE" ? 0 : 9];
  byId("skip").disabled = !both;
  byId("skip").max = Math.max(30, skip);
  byId("skip").value = skip;
  byId("score").value = min_score ?? 0.5;
  const names = labels.length ? labels.join(", ") : `${postprocessing.num_classes} classes`;
  byId("facts").textContent = `${name}: ${input.width} × ${input.height}, finds ${names}`;
  byId("empty").textContent = "Choose a video, or switch the camera on.";
  showSettings();
}

function showSettings() {
  byId("skip-shown").textContent = byId("skip").value;
  byId("score-shown").textContent = Number(byId("score").value).toFixed(2);
  draw();
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const inMs = (value) => (Number.isNaN(value) ? "–" : `${value.toFixed(1)} ms`);

function show(data) {
  if (restart) return data.frame.close(); // Of the source before.
  answer?.frame.close();
  answer = data;
  badge.textContent = badge.className = data.network;
  badge.hidden = false;
  times[data.network] = [...times[data.network], data.ms].slice(-RECENT);
  answered = [...answered, performance.now()].slice(-RECENT);
  const [large, small] = [mean(times.large), mean(times.small)];
  const skip = Number(byId("skip").value);
  byId("large").textContent = inMs(large);
  byId("small").textContent = inMs(small);
  const taking = skip && !byId("skip").disabled ? (large + skip * small) / (skip + 1) : mean(times[data.network]);
  byId("average").textContent = inMs(taking);
  const seconds = (answered.at(-1) - answered[0]) / 1000;
  byId("rate").textContent = seconds ? ((answered.length - 1) / seconds).toFixed(1) : "–";
  draw();
}

/** Draws the last answer: its frame, so that boxes and picture are of one moment, and its boxes. */
function draw() {
  const { clientWidth, clientHeight } = boxes;
  const ratio = window.devicePixelRatio;
  Object.assign(boxes, { width: clientWidth * ratio, height: clientHeight * ratio });
  const scale = Math.min(clientWidth / video.videoWidth, clientHeight / video.videoHeight);
  const [width, height] = [video.videoWidth * scale, video.videoHeight * scale];
  const pen = boxes.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, ((clientWidth - width) / 2) * ratio, ((clientHeight - height) / 2) * ratio);
  if (!answer) return;
  pen.drawImage(answer.frame, 0, 0, width, height);
  Object.assign(pen, { lineWidth: 2, font: "600 13px system-ui, sans-serif", textBaseline: "top" });
  const shown = answer.detections.filter(({ score }) => score >= byId("score").value);
  for (const { box, class: index, label, score } of shown.reverse()) { // The best one lies on top.
    const [top, left, bottom, right] = box.map((edge, i) => edge * (i % 2 ? width : height));
    const text = `${label} ${score.toFixed(2)}`;
    pen.strokeStyle = pen.fillStyle = `hsl(${(120 + index * 222.5) % 360} 85% 38%)`;
    pen.strokeRect(left, top, right - left, bottom - top);
    const [x, y] = [Math.min(left, width - pen.measureText(text).width - 8), Math.max(top - 18, 0)];
    pen.fillRect(x - 1, y, pen.measureText(text).width + 8, 18);
    pen.fillStyle = "#fff";
    pen.fillText(text, x + 3, y + 3);
  }
}

/** Hands a new frame to the worker when it is free, and waits for the next one. */
async function look() {
  follow();
  if (!ready || video.readyState < video.HAVE_CURRENT_DATA || video.seeking) return;
  ready = false;
  const [to, from] = [worker, source];
  const frame = await createImageBitmap(video).catch(() => undefined);
  if (to !== worker) return;
  if (!frame || from !== source) return (ready = true); // It is of the video before.
  const settings = { skip: Number(byId("skip").value), memory: !byId("forget").checked, restart };
  restart = false;
  worker.postMessage({ frame, ...settings }, [frame]);
}

function follow() {
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(look);
  else requestAnimationFrame(look);
}

function openVideo(name, blob) {
  video.onerror = () =>
    tell("video", `${name}: this browser cannot decode the video. Most play H.264 in MP4: ` +
      "ffmpeg -i INPUT -c:v libx264 -pix_fmt yuv420p OUTPUT.mp4");
  play(null, URL.createObjectURL(blob));
}

/** Shows a stream, or what is at an address. */
function play(stream, address = "") {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  URL.revokeObjectURL(video.src);
  video.srcObject = stream;
  if (address) video.src = address;
  else video.removeAttribute("src");
  video.play().catch(() => {}); // Where it may not start by itself, the button does it.
  byId("empty").hidden = true;
  tell("video");
  startAnew();
}

function startAnew() {
  restart = true;
  source++;
  badge.hidden = true;
  answer?.frame.close();
  answer = undefined;
  draw();
}

async function openCamera() {
  if (!navigator.mediaDevices)
    return tell("video", "Browsers give the camera to pages at https:// or localhost only: open this page there.");
  try {
    play(await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }));
  } catch ({ name, message: reason }) {
    tell("video", {
      NotAllowedError: "This page may not use the camera: allow it in the browser's settings of this page and press Camera again, or choose a video.",
      NotFoundError: "There is no camera here: connect one and press Camera again, or choose a video.",
    }[name] ?? `The camera does not start (${reason}): close what else uses it and press Camera again.`);
  }
}

async function fetched(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error("there is no such file beside this page");
  return response.arrayBuffer();
}

byId("file").onchange = ({ target: { files: [file] } }) => file && openVideo(file.name, file);
byId("model").onchange = ({ target: { files: [file] } }) => file && openModel(file.name, file.arrayBuffer());
byId("file").onclick = byId("model").onclick = ({ target }) => (target.value = ""); // The same one again is new.
byId("camera").onclick = openCamera;
byId("pause").onclick = () => (video.paused ? video.play().catch(() => {}) : video.pause());
video.onplay = video.onpause = () => (byId("pause").textContent = video.paused ? "Play" : "Pause");
byId("skip").oninput = byId("score").oninput = showSettings;
video.onseeking = document.onvisibilitychange = startAnew;
new ResizeObserver(draw).observe(boxes);

if (location.protocol === "file:")
  tell("network", "A browser runs this page from a server only, not from the disk: make web serves it.");
else if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD))
  tell("network", "This browser has no WebAssembly with SIMD, which the network needs: use Chrome or Edge 91, Firefox 89, Safari 16.4 or later.");
else {
  openModel("model.tflite", fetched("model.tflite"));
  fetched("video.mp4").then((bytes) => openVideo("video.mp4", new Blob([bytes])), () => {}); // Or none.
  follow();
}
