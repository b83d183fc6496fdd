"""Files and folders that appear under their names only when they are whole.

Until then, what is written stands in a hidden folder beside its place. A process that is killed
leaves this folder behind; the next one that writes to the same place removes it. A lock tells it
from the folder of a process that is still at work.
"""

import contextlib
import errno
import fcntl
import functools
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

_PREFIX, _SUFFIX = ".lstd-", ".part"


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the name to write to; `path` is there when the block has ended well, else as before.

    The other name has the same last part, in another folder. A device, a pipe or standard output
    stays what it is, and gets the content when the block has ended well; of a link, the file that
    it leads to is replaced.

    Raises:
        OSError: there is no such folder, `path` is one, or it cannot be written.
    """
    path = Path(path)
    if is_stream(path):
        with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
            yield Path(folder) / path.name
            _put(Path(folder) / path.name, path)
        return
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "this is a folder, expected a file", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    with whole_files(path.parent, [path.name]) as folder:
        yield folder / path.name


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Writes bytes, or text as UTF-8.

    Raises:
        OSError: the file cannot be written; an older one is then as it was.
    """
    with whole_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def whole_files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yields a temporary folder in `folder`; what was written there moves up when all went well.

    If the block raises, nothing of it remains, also not a `folder` that did not exist before. The
    files and folders of these names replace what has their name, but only a SavedModel's folder is
    replaced by a folder.

    Raises:
        OSError: the folder cannot be made or written, or something else stands in the way.
    """
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for target in (folder / name for name in names):
        is_model = (target / "saved_model.pb").exists()
        if target.is_dir() and any(target.iterdir()) and not is_model:
            raise FileExistsError(
                f"{target}: this folder exists and is no SavedModel; give another place, or "
                "remove it"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        temporary, lock = _new_folder(folder)
    except OSError as error:
        _remove_empty(missing)
        reason = error.strerror or str(error)
        raise type(error)(error.errno, f"cannot write there: {reason}", str(folder)) from None
    try:
        yield temporary
        for path in temporary.rglob("*"):
            _sync(path)
        for name in names:
            _put(temporary / name, folder / name)
        _sync(folder)
    except Exception as error:
        if disk_is_full(error):  # Writers of all kinds say so in words of their own, or of nothing.
            number = errno.ENOSPC
            raise OSError(number, os.strerror(number), str(folder / names[0])) from None
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(lock)
        _remove_empty(missing)


def disk_is_full(error: Exception) -> bool:
    """Returns whether an error, of this system or of a library, says that a disk is full."""
    words = (os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
    return any(word in str(error) for word in words)


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Returns whether a path is something to write to that is neither a file nor a folder."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    regular = stat.S_ISREG(mode) and _standard_output(path) is None
    return not regular and not stat.S_ISDIR(mode)


def _standard_output(path: str | os.PathLike[str]) -> int | None:
    """Returns the number of the process's own output that a path leads to, if any."""
    for number in (1, 2):
        with contextlib.suppress(OSError):  # it is closed
            if os.path.samestat(os.stat(path), os.fstat(number)):
                return number
    return None


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _new_folder(place: Path) -> tuple[Path, int]:
    """Returns a folder of an unpredictable name, and what holds its lock until it is closed."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=_SUFFIX, dir=place))
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # Another process took it for left over, as it was not locked.
            continue
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)


@functools.cache  # Once for each place: a folder may have thousands of files.
def _remove_leftovers(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # It is locked, or not ours.
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)


def _sync(path: Path) -> None:
    """Returns when a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # Not all systems do so for folders.
            raise
    finally:
        os.close(descriptor)


def _put(source: Path, target: Path) -> None:
    if is_stream(target):
        number = _standard_output(target)
        if number is not None and sys.stdout is not None:
            sys.stdout.flush()
        stream = target.open("wb") if number is None else os.fdopen(os.dup(number), "wb")
        with source.open("rb") as content, stream:
            shutil.copyfileobj(content, stream)
    elif target.is_symlink():
        place = Path(os.path.realpath(target))
        with whole_files(place.parent, [place.name]) as folder:
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, folder / place.name)
    else:
        if source.is_dir() and target.is_dir():
            target.rename(source.with_name(f"{source.name}.old"))  # It goes with the folder.
        os.replace(source, target)
