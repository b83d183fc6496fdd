"""Headless Chromium through its pipe of DevTools commands, and the page of examples/web in it."""

import base64
import contextlib
import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http import server
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).resolve().parents[1] / "examples" / "web"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = [name for name in ("node", "npm") if not shutil.which(name)] + ["chromium"] * (
    not CHROMIUM
)
"""Programs that the page or its test needs and this machine has not."""


def build(output: Path) -> str:
    """Builds the page into a folder; returns what went wrong, an empty text where nothing did."""
    commands = (["npm", "install"], ["npm", "run", "--silent", "build"])
    for command in commands:
        done = subprocess.run(
            command,
            cwd=PAGE,
            env={**os.environ, "OUTPUT": str(output)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return f"{' '.join(command)}: {done.stderr.strip()}"
    return ""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves a folder on the loopback, and gives its address."""

    class Quiet(server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    httpd = server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}/"
    finally:
        httpd.shutdown()
        httpd.server_close()


def load(model: str, frames: str) -> str:
    """Returns a script that gives a model and RGBA frames, files beside the page, to a worker."""
    return f"""(async () => {{
        const load = async (name) => (await fetch(name, {{ cache: "no-store" }})).arrayBuffer();
        const worker = new Worker("worker.js");
        window.ask = (message, moved) => new Promise((done) => {{
            worker.onmessage = ({{ data }}) => done(data);
            worker.postMessage(message, moved);
        }});
        window.pixels = await load({json.dumps(frames)});
        return ask({{ model: await load({json.dumps(model)}) }});
    }})()"""


def answers(width: int, height: int, *, skip: int, memory: bool = True) -> str:
    """Returns a script for what that worker says to the frames, and for their milliseconds."""
    settings = json.dumps({"skip": skip, "memory": memory})
    return f"""(async () => {{
        const [size, started, answers] = [4 * {width} * {height}, performance.now(), []];
        for (let at = 0; at < pixels.byteLength; at += size) {{
            const data = new Uint8ClampedArray(pixels, at, size);
            const frame = await createImageBitmap(new ImageData(data, {width}, {height}));
            const {{ frame: back, ...answer }} =
                await ask({{ frame, ...{settings}, restart: at === 0 }}, [frame]);
            back?.close();
            answers.push(answer);
        }}
        return {{ answers, ms: performance.now() - started }};
    }})()"""


def write_frames(path: Path, frames: np.ndarray) -> None:
    """Writes frames, uint8 RGB `[T, H, W, 3]`, as a browser takes them: RGBA."""
    opaque = np.full((*frames.shape[:-1], 1), 255, np.uint8)
    path.write_bytes(np.concatenate([frames, opaque], axis=-1).tobytes())


_START = (
    "import os, sys; read, write, *command = sys.argv[1:]; "
    "os.dup2(int(read), 3); os.dup2(int(write), 4); os.execv(command[0], command)"
)


class Browser(contextlib.AbstractContextManager["Browser"]):
    """One page of a Chromium of its own, until the `with` block ends.

    Commands go through the pipe that Chromium reads from descriptor 3 and answers on 4, as JSON
    with a zero byte behind each message: it takes no library and no port.
    """

    def __init__(self, *flags: str) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        read, self._write = os.pipe()
        self._read, write = os.pipe()
        command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio"]
        command += ["--remote-debugging-pipe", f"--user-data-dir={self._profile.name}", *flags]
        start = [sys.executable, "-c", _START, str(read), str(write)]
        self._process = subprocess.Popen(
            [*start, *command], pass_fds=(read, write), stderr=subprocess.DEVNULL
        )
        os.close(read)
        os.close(write)
        self._numbers, self._session, self._unread = itertools.count(1), {}, b""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Returns the result of a DevTools command."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._unread:
                read = os.read(self._read, 1 << 16)
                if not read:
                    raise RuntimeError("Chromium has ended")
                self._unread += read
            text, _, self._unread = self._unread.partition(b"\0")
            answer = json.loads(text)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, address: str, script: str = "") -> None:
        """Loads a page, after a script if there is one."""
        if script:
            self.send("Page.enable")
            self.send("Page.addScriptToEvaluateOnNewDocument", source=script)
        self.send("Page.navigate", url=address)
        self.wait_for(
            f"location.href.startsWith({json.dumps(address)}) && document.readyState === 'complete'"
        )

    def run(self, script: str) -> Any:
        """Returns the value of a script, or of the promise that it is."""
        answer = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_for(self, script: str, seconds: float = 180.0) -> Any:
        """Returns the value of a script as soon as it is true."""
        until = time.monotonic() + seconds
        while not (value := self.run(script)):
            if time.monotonic() > until:
                raise TimeoutError(f"not within {seconds:g} s: {script}")
            time.sleep(0.05)
        return value

    def choose(self, selector: str, path: Path) -> None:
        """Chooses a file, as a user does with a file input."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def screenshot(self, path: Path, *, width: int, height: int, scheme: str) -> None:
        """Writes a PNG of the page at a size, "light" or "dark"."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", features=[feature])
        self.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)))")
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def __exit__(self, *_: object) -> None:
        self._session = {}
        with contextlib.suppress(OSError, RuntimeError):
            self.send("Browser.close")
        self._process.wait(30)
        os.close(self._read)
        os.close(self._write)
        self._profile.cleanup()
