"""The sdist and the wheel, installed beside TensorFlow and used in an empty folder."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import lstd

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("train", "eval", "export", "detect", "data", "benchmark")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist of the checkout, and the wheel made from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def installed(
    request: pytest.FixtureRequest, built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The bin/ of a new environment that has lstd, and all else from the one of the tests."""
    folder = tmp_path_factory.mktemp(request.param) / "venv"
    venv.create(folder, with_pip=False)
    paths = {"base": str(folder), "platbase": str(folder)}
    site_packages = Path(sysconfig.get_path("purelib", vars=paths))
    # Behind its own site-packages, and without the .pth files there: no editable lstd.
    (site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    binaries = folder / "bin"
    _run(
        *(sys.executable, "-m", "pip", "--python", binaries / "python", "install"),
        *("--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed"),
        built[request.param],
    )
    return binaries


def test_configs_and_types_come_along_and_a_model_is_built(installed: Path, tmp_path: Path) -> None:
    program = (
        "import lstd, pathlib\n"
        "package = pathlib.Path(lstd.__file__).parent\n"
        "print(package, (package / 'py.typed').is_file(), lstd.list_configs())\n"
        "model = lstd.build_model(lstd.load_config('sowbug_demo').model)\n"
        "print(model.labels)"
    )

    place, labels = _run(installed / "python", "-c", program, cwd=tmp_path).splitlines()

    assert place.startswith(str(installed.parent))
    assert place.endswith(f" True {lstd.list_configs()}")
    assert len(lstd.list_configs()) >= 3
    assert labels == "('sowbug',)"


@pytest.mark.parametrize("command", COMMANDS)
def test_command_says_what_it_does_and_its_version(
    installed: Path, tmp_path: Path, command: str
) -> None:
    told = _run(installed / f"lstd-{command}", "--help", cwd=tmp_path)
    version = _run(installed / f"lstd-{command}", "--version", cwd=tmp_path)

    assert f"Flags of lstd-{command}:" in told
    assert version.startswith(f"lstd-{command} {lstd.__version__}, tensorflow ")


def test_data_are_made_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    arguments = ("synthesize", "--output_directory", "made", "--videos", "1", "--frames", "2")

    _run(installed / "lstd-data", *arguments, cwd=tmp_path)

    assert (tmp_path / "made" / "index.json").is_file()


def _run(*words: str | Path, cwd: Path = ROOT) -> str:
    """Returns what a command prints; its errors are in the message of the failure."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
