"""Files and folders appear whole or not at all."""

import os
import stat
import threading
from pathlib import Path

import pytest

from lstd.base import whole_file as module
from lstd.base.whole_file import is_stream, whole_file, whole_files, write_whole


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_are_written_with_the_usual_rights(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "\u00e4\n")
    write_whole(tmp_path / "b", b"\x00")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa4\n"
    assert (tmp_path / "b").read_bytes() == b"\x00"
    (tmp_path / "usual").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_name_to_write_to_is_another_each_time_with_the_same_last_part(tmp_path: Path) -> None:
    path = tmp_path / "best.weights.h5"
    with whole_file(path) as one, whole_file(path) as other:
        assert one.name == other.name == path.name
        assert one.parent != other.parent
        assert one.parent.parent == other.parent.parent == tmp_path
        one.touch()
        other.touch()
    assert _names(tmp_path) == ["best.weights.h5"]


def test_file_that_cannot_be_written_whole_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:2])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")

    assert path.read_text() == "old"
    assert _names(tmp_path) == ["page.html"]


def test_full_disk_is_named_with_the_file_whoever_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*/a'"),
        whole_file(tmp_path / "a"),
    ):
        raise RuntimeError("write failed: errno = 28, error message = 'No space left on device'")


def test_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def noted_sync(file: int) -> None:
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{file}")))
        sync(file)

    def noted_replace(source: Path, target: Path) -> None:
        done.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_whole(tmp_path / "a", "text")

    assert done == ["a", "replace", tmp_path.name]


def test_pipe_stays_a_pipe_and_gets_the_content(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    read: list[bytes] = []
    for path in (pipe, link):
        reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
        reader.start()
        write_whole(path, b"new")
        reader.join()
    assert read == [b"new", b"new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert _names(tmp_path) == ["link", "pipe"]


def test_standard_output_in_a_file_is_written_on(tmp_path: Path) -> None:
    kept = os.dup(1)
    with (tmp_path / "out").open("wb", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        try:
            os.write(1, b"before, ")
            streams = is_stream("/dev/stdout"), is_stream(tmp_path / "other")
            write_whole("/dev/stdout", "new, ")
            os.write(1, b"after")
        finally:
            os.dup2(kept, 1)
            os.close(kept)
    assert (tmp_path / "out").read_text() == "before, new, after"
    assert streams == (True, False)


def test_link_stays_a_link_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("a", "b"):  # a is not there yet
        (tmp_path / name).symlink_to(Path("there") / name)
    (tmp_path / "there" / "b").write_text("old")

    write_whole(tmp_path / "a", "new")
    with whole_files(tmp_path, ["b"]) as temporary:
        (temporary / "b").write_text("new")

    assert (tmp_path / "a").is_symlink()
    assert (tmp_path / "b").is_symlink()
    assert [(tmp_path / "there" / name).read_text() for name in ("a", "b")] == ["new", "new"]
    assert _names(tmp_path / "there") == ["a", "b"]


def test_folder_is_refused_where_a_file_is_meant(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="this is a folder, expected a file"):
        write_whole(tmp_path, "new")
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        write_whole(tmp_path / "no" / "a", "new")


def test_what_a_killed_process_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a") as at_work:
        at_work.write_text("half")
        left = tmp_path / ".lstd-killed.part"
        left.mkdir()
        (left / "a").write_text("half")
        module._remove_leftovers.cache_clear()  # as in another process
        write_whole(tmp_path / "b", "new")
        assert not left.exists()
        assert at_work.exists()
    assert _names(tmp_path) == ["a", "b"]


def test_folder_appears_with_all_its_files(tmp_path: Path) -> None:
    with whole_files(tmp_path / "a" / "b", ["x.txt"]) as temporary:
        (temporary / "x.txt").write_text("new")
        assert not (tmp_path / "a" / "b" / "x.txt").exists()
    assert (tmp_path / "a" / "b" / "x.txt").read_text() == "new"
    assert _names(tmp_path / "a" / "b") == ["x.txt"]


def test_nothing_is_left_of_a_block_that_failed(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("old")
    with pytest.raises(RuntimeError), whole_files(tmp_path, ["x.txt"]) as temporary:  # noqa: PT012
        (temporary / "x.txt").write_text("half")
        raise RuntimeError("half way")
    with pytest.raises(RuntimeError), whole_files(tmp_path / "a" / "b", ["x"]):
        raise RuntimeError
    assert _names(tmp_path) == ["x.txt"]
    assert (tmp_path / "x.txt").read_text() == "old"


def test_an_old_saved_model_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_text("old")
    (tmp_path / "model" / "old.txt").write_text("old")
    with whole_files(tmp_path, ["model"]) as temporary:
        (temporary / "model").mkdir()
        (temporary / "model" / "saved_model.pb").write_text("new")
    assert _names(tmp_path) == ["model"]
    assert _names(tmp_path / "model") == ["saved_model.pb"]
    assert (tmp_path / "model" / "saved_model.pb").read_text() == "new"


def test_what_stands_in_the_way_is_named_and_stays(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.tex").write_text("ten years")
    with pytest.raises(FileExistsError, match="model: this folder exists and is no SavedModel"):
        whole_files(tmp_path, ["model"]).__enter__()
    assert _names(tmp_path / "model") == ["thesis.tex"]
    (tmp_path / "a").write_text("a file")
    with pytest.raises(OSError, match=r"cannot write there: .*'.*a/b'"):
        whole_files(tmp_path / "a" / "b", ["x"]).__enter__()
    assert (tmp_path / "a").read_text() == "a file"
