"""What the system tests need from the machine they run on: recorded material, other languages' tools.

A stranger's clone lacks some of it, so a test says what is missing and skips; in CI a missing thing is a failure.
"""

import os
import shutil
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"
IS_CI = os.environ.get("CI") == "true"


def missing(what: str) -> None:
    """Skip for want of *what*; in CI, where all of it is installed, fail."""
    if IS_CI:
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is missing")


def shared_folder(name: str) -> Path:
    """A folder of `../shared`, which a clone of the repository alone does not have."""
    folder = SHARED / name
    if not folder.is_dir():
        missing(f"../shared/{name}")
    return folder


def program(name: str) -> str:
    """The path of an installed program."""
    path = shutil.which(name)
    if path is None:
        missing(f"the program {name}")
    return str(path)
