"""The check of Keras 2 and TensorFlow, and the public names of `lstd`."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import lstd
from lstd.base import compatibility

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("tensorflow", "tf_keras", "told"),
    [
        ("2.21.0", "2.21.3", []),
        ("2.16.2", "2.16.0rc1", []),
        ("2.22.0.dev20260101", "2.22.0", []),
        ("", "2.21.0", []),  # a build of one's own
        ("2.21.0", "", []),
        ("2.21.0", "2.19.0", ["2.21.0", "2.19.0", 'pip install "tf-keras==2.21.*"']),
        ("2.19.1", "2.21.0", ["2.19.1", "2.21.0", 'pip install "tf-keras==2.19.*"']),
        ("2.2.0", "2.21.0", ['pip install "tf-keras==2.2.*"']),  # 2.2 is not 2.21
        ("2.21.0", None, ["not installed", 'pip install "tf-keras==2.21.*"']),
        ("", None, ["not installed", "pip install tf-keras"]),
        (None, "2.21.0", ["pip install tensorflow"]),
        (None, None, ["pip install tensorflow"]),
    ],
)
def test_versions_that_differ_raise_with_the_command_that_mends_it(
    tensorflow: str | None, tf_keras: str | None, told: list[str]
) -> None:
    message = ""
    try:
        compatibility.check_versions(tensorflow=tensorflow, tf_keras=tf_keras)
    except ImportError as error:
        message = str(error)
    assert bool(message) == bool(told)
    assert all(part in message for part in told), message
    assert "\n" not in message


class _Loader(ModuleType):
    """What stands in the place of `tf.keras` until somebody touches one of its attributes."""

    def __init__(self, **private: object) -> None:
        super().__init__("keras")
        self.__dict__.update({"_tfll_initialized": False, **private})

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was asked for, which would have made it choose")


def _with(**attributes: object) -> dict[str, ModuleType]:
    """Returns loaded modules, with a TensorFlow that has these attributes."""
    tensorflow = ModuleType("tensorflow")
    tensorflow.__dict__.update(attributes)
    return {"tensorflow": tensorflow}


def _after(version: str) -> _Loader:
    return _Loader(_tfll_initialized=True, _tfll_keras_version=version)


IN_TIME = {"TF_USE_LEGACY_KERAS": "1"}


@pytest.mark.parametrize(
    ("modules", "keras_2", "asked"),
    [
        ({}, True, IN_TIME),
        (_with(keras=_Loader()), True, IN_TIME),
        # What has none of TensorFlow's private attributes counts as in time.
        (_with(), True, IN_TIME),
        (_with(keras=1), True, IN_TIME),  # which has no __dict__
        (_with(keras=ModuleType("something_new")), True, IN_TIME),
        # What is there already decides, and so does what a loader that somebody kept has chosen.
        (_with(keras=ModuleType("keras._tf_keras.keras")), False, {}),
        (_with(keras=ModuleType("keras._tf_keras")), False, {}),
        (_with(keras=ModuleType("keras.api._v2.keras")), True, {}),
        (_with(keras=ModuleType("tf_keras.api._v2.keras")), True, {}),
        (_with(keras=ModuleType("tf_keras")), True, {}),
        (_with(keras=_after("keras_3")), False, {}),
        (_with(keras=_after("tf_keras")), True, {}),
    ],
)
def test_keras_2_is_asked_for_while_tf_keras_is_untouched(
    modules: dict[str, ModuleType], keras_2: bool, asked: dict[str, str]
) -> None:
    environment: dict[str, str] = {}
    assert compatibility.use_legacy_keras(environment, modules) is keras_2
    assert environment == asked


@pytest.mark.parametrize(("value", "keras_2"), [("0", False), ("True", True)])
def test_what_somebody_has_chosen_stays(value: str, keras_2: bool) -> None:
    environment = {"TF_USE_LEGACY_KERAS": value}
    assert compatibility.use_legacy_keras(environment, {}) is keras_2
    assert environment == {"TF_USE_LEGACY_KERAS": value}


def test_keras_3_in_use_is_warned_about_once_and_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    compatibility.ensure()  # warnings are errors
    in_use = _with(keras=ModuleType("keras._tf_keras.keras"))["tensorflow"]
    monkeypatch.setitem(sys.modules, "tensorflow", in_use)
    with pytest.warns(UserWarning, match="import tf_keras as keras") as caught:
        compatibility.ensure()
    assert len(caught) == 1


def test_litert_alone_is_enough_to_run_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatibility, "_version", {"ai_edge_litert": "2.3.0"}.get)
    compatibility.ensure()
    monkeypatch.setattr(compatibility, "_version", {}.get)
    with pytest.raises(ImportError, match="pip install tensorflow"):
        compatibility.ensure()


@pytest.mark.parametrize(
    ("name", "debug", "code"), [("lstd-train", "0", 2), ("lstd-train", "1", 1), ("mine.py", "0", 1)]
)
def test_a_command_tells_versions_that_do_not_fit_in_one_sentence(
    tmp_path: Path, name: str, debug: str, code: int
) -> None:
    script = tmp_path / name
    script.write_text(
        "import sys\n"
        "from importlib import metadata\n"
        "metadata.version = lambda name: '2.20.0' if 'keras' in name else '2.21.0'\n"
        "from lstd.cli.train import main\n"
        "sys.exit(main())\n"
    )

    done = subprocess.run(
        [sys.executable, str(script), "--config=sowbug_demo"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "LSTD_DEBUG": debug},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code
    assert "TensorFlow is 2.21.0 and tf_keras is 2.20.0: pip install" in done.stderr
    if code == 2:
        assert done.stderr.startswith("lstd-train: error: lstd needs TensorFlow and tf_keras of")
        assert done.stderr.count("\n") == 1
    else:
        assert "Traceback" in done.stderr


def test_lstd_that_comes_after_tensorflow_chooses_keras_2_and_the_memory_pool() -> None:
    program = (
        "import resource, sys, tensorflow as tf\n"
        "import lstd, tf_keras\n"
        "assert tf.keras.layers.Layer is tf_keras.layers.Layer\n"
        # tf_keras itself imports PIL where it is installed.
        "before = set(sys.modules)\n"
        "for name in lstd.__all__: getattr(lstd, name)\n"
        "seldom = {'av', 'cv2', 'PIL', 'matplotlib', 'pycocotools', 'hotcoco', 'ai_edge_litert'}\n"
        "assert not seldom & set(sys.modules) - before, seldom & set(sys.modules) - before\n"
        "def faults():\n"
        "    tf.fill([2048, 4096], 1.0)  # 32 MB, freed at once\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "faults()\n"
        "before = faults()\n"
        "for _ in range(20): last = faults()\n"
        "print(last - before)"
    )

    told = _run(program, TF_USE_LEGACY_KERAS=None, TF_CPU_ALLOCATOR_USE_BFC=None).stdout

    # Fetched anew, 20 tensors of 32 MB are 163,840 pages of 4 kB.
    assert int(told) < 8192


def test_real_keras_3_is_noticed_when_lstd_comes_too_late() -> None:
    told = _run(
        "import tensorflow as tf; tf.keras.layers; import lstd", TF_USE_LEGACY_KERAS=None
    ).stderr

    assert told.count(compatibility.KERAS_3_WARNING) == 1
    assert "<string>:1: UserWarning" in told  # the line that imports lstd, not one of ours


def test_import_of_lstd_is_quick() -> None:
    program = (
        "import sys, lstd, lstd.cli.common\n"
        "lstd.load_config\n"
        "heavy = {'tensorflow', 'tf_keras', 'numpy', 'pycocotools'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    assert _run(program).stdout.strip() == "[]"


def test_every_public_name_resolves_and_stands_in_all_tables() -> None:
    for name in lstd.__all__:
        value = getattr(lstd, name)
        assert name in dir(lstd)
        if name in lstd._MODULES:
            assert value is getattr(importlib.import_module(lstd._MODULES[name]), name)
    tree = ast.parse((ROOT / "lstd" / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    for_type_checkers = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert for_type_checkers == lstd._MODULES
    assert {*lstd._MODULES, "__version__"} == set(lstd.__all__)
    assert not {path.stem for path in (ROOT / "lstd").iterdir()} & set(lstd.__all__)
    with pytest.raises(AttributeError, match="no attribute 'build_modle'"):
        _ = lstd.build_modle


def _run(program: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    merged = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={name: value for name, value in merged.items() if value is not None},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
