"""The versions of lstd and of what it stands on."""

from importlib import metadata

__version__ = "0.1.0.dev0"


def installed(*names: str) -> dict[str, str]:
    """Returns the version of each of these packages that is installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
