"""Docstrings say what a signature and a body say: arguments by name, and the errors raised."""

import ast
import builtins
import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lstd

ROOT = Path(__file__).resolve().parent.parent

# Keras calls these by name; what goes in and out stands in the docstring of the class.
OF_KERAS = re.compile(r"build|call|(get|from)_config|update_step|on_\w+")
REFERENCE = re.compile(r"raises as|see `\w+` for the errors|errors (are those of|as)")
ENTRY = re.compile(r"    (\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*)(?: \(.*?\))?:(?: |$)")


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions_in(path: Path) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Yields public functions, and public methods of public classes with their docstring."""
    for owner in ast.walk(parsed(path)):
        is_class = isinstance(owner, ast.ClassDef) and not owner.name.startswith("_")
        if is_class or isinstance(owner, ast.Module):
            for node in owner.body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    yield node, (ast.get_docstring(owner) or "") if is_class else ""


def section(docstring: str, title: str) -> list[str]:
    """Returns the names that a section of a Google docstring explains, in order."""
    found = re.search(rf"^{title}:\n((?: +.*\n?|\n)+)", docstring, re.MULTILINE)
    entries = (ENTRY.match(line) for line in found[1].splitlines()) if found else ()
    return [name for entry in entries if entry for name in entry[1].split(", ")]


def arguments_of(node: ast.FunctionDef) -> list[str]:
    given = node.args
    names = [a.arg for a in (*given.posonlyargs, *given.args)]
    names += [f"*{given.vararg.arg}"] if given.vararg else []
    names += [a.arg for a in given.kwonlyargs]
    names += [f"**{given.kwarg.arg}"] if given.kwarg else []
    return [name for name in names if name not in ("self", "cls")]


def raised_in(node: ast.AST) -> set[str]:
    """Returns the exceptions that a body raises by their class; not those of functions in it.

    What a handler beside it takes by the same name is not raised.
    """
    found: set[str] = set()
    if isinstance(node, ast.Try):
        taken = {ast.unparse(each.type) for each in node.handlers if each.type}
        body = raised_in(ast.Module(node.body, [])) - taken
        return body | raised_in(ast.Module([*node.handlers, *node.orelse, *node.finalbody], []))
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            error = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            name = ast.unparse(error).rpartition(".")[2]
            found |= {name} if name[0].isupper() else set()  # `raise error` may be anything
        found |= raised_in(child)
    return found


@functools.cache
def line_of(name: str) -> set[str]:
    """Returns an exception's name and those of all its bases, of Python and of lstd."""
    known = getattr(builtins, name, None)
    if isinstance(known, type):
        return {base.__name__ for base in known.__mro__} - {"object", "BaseException", "Exception"}
    bases = {
        ast.unparse(base).rpartition(".")[2]
        for path in (ROOT / "lstd").rglob("*.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef) and node.name == name
        for base in node.bases
    }
    return {name}.union(*map(line_of, bases))


def offences_in(path: Path, *, errors: bool = True) -> list[str]:
    """Returns what the docstrings of a file leave out, errors only if so asked, or say wrongly."""
    found = []
    for node, of in functions_in(path):
        docstring, where = ast.get_docstring(node) or "", f"{path}:{node.lineno} {node.name}"
        if not docstring and not (of and OF_KERAS.fullmatch(node.name)):
            found.append(f"{where}: no docstring")
        told, actual = section(docstring, "Args"), arguments_of(node)
        if told and told != actual:
            found.append(f"{where}: Args are {told}, the signature has {actual}")
        said = {*section(docstring, "Raises"), *section(of, "Raises")}
        for error in sorted(raised_in(node) - {"NotImplementedError"}) if errors else ():
            told = line_of(error) & said or error in docstring
            if not told and not REFERENCE.search(docstring):
                found.append(f"{where}: raises {error}, Raises does not say so")
    return found


def test_docstrings_agree_with_signatures_and_raise_statements() -> None:
    modules = {*lstd._MODULES.values(), "lstd.fit.detection_training"}  # LSTMSSD's `fit` and more
    public = {f"{name.replace('.', '/')}.py" for name in modules}

    offences = []
    for path in sorted((ROOT / "lstd").rglob("*.py")):
        errors = path.relative_to(ROOT).as_posix() in public  # inside, a tight docstring will do
        offences += offences_in(path, errors=errors)

    assert not offences, "\n".join(offences)


def test_offences_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        "def bare(): pass\n"
        'def wrong(a, *, b):\n    """Returns.\n\n    Args:\n        a: one.\n    """\n'
        'def silent():\n    """Returns."""\n    if 1:\n        raise FileNotFoundError("a")\n'
        'def told():\n    """Returns.\n\n    Raises:\n        OSError: b.\n    """\n'
        '    raise FileNotFoundError("a")\n'
    )

    found = offences_in(path)

    assert [offence.partition(": ")[2] for offence in found] == [
        "no docstring",
        "Args are ['a'], the signature has ['a', 'b']",
        "raises FileNotFoundError, Raises does not say so",
    ]


PUBLIC = [name for name in lstd.__all__ if inspect.isfunction(getattr(lstd, name))]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_function_explains_every_argument_and_what_it_returns(name: str) -> None:
    function = getattr(lstd, name)
    docstring = inspect.getdoc(function) or ""
    signature = inspect.signature(function)

    if "The other arguments, what is returned and the errors are those of" in docstring:
        return
    assert [name.lstrip("*") for name in section(docstring, "Args")] == list(signature.parameters)
    if signature.return_annotation not in (None, "None"):
        assert docstring.startswith("Returns ") or "\nReturns:" in docstring
