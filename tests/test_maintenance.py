"""Commands of a maintainer, as they are typed, in a copy of the repository. About: environment."""
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from conftest import BIN, PATIENCE, copy_tracked, typed

pytestmark = pytest.mark.slow


@pytest.fixture
def make(tmp_path):
    "Copy what git keeps into a repository; a function types `make` there."
    home = copy_tracked(tmp_path/"copy")
    git = ["git", "-c", "user.name=a test", "-c", "user.email=test@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], cwd=home, check=True)
    def call(*words, **variables):
        environment = {**os.environ, "MARK1_VENV": sys.prefix, "TMPDIR": str(tmp_path), **variables}
        return typed(["make", "-o", "setup", *words], 20*PATIENCE, cwd=home, env=environment)
    return call


def test_make_mutants(make):
    done = make("mutants", "FILES=blog/outputs.py")
    assert done.returncode == 0 and "2 of 2 faults noticed" in done.stdout, done.stdout + done.stderr


def test_make_release(make):
    done = make("release", "VERSION=9.8.7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mark1: 9.8.7 is ready in _run/release; nothing is published" in done.stdout
    for words in (["release"], ["release", "VERSION=new"]):
        done = make(*words)
        assert done.returncode and "name the version: make release VERSION=0.1.0" in done.stderr


def test_make_newest(make, tmp_path):
    probe = [BIN/"uv", "pip", "install", "--dry-run", "--python", sys.executable, "fastcore>=2"]
    if typed(probe).returncode: pytest.skip("no index of packages can be reached from here")
    held = tmp_path/"held.txt" # or it downloads torch anew
    held.write_text("".join(f"{name}=={version(name)}\n" for name in ("torch", "torchvision")))
    done = make("newest", "CHAPTERS=05_time_index doctor kernels", MARK1_CONSTRAINTS=str(held))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mark1: export and cleaning change nothing" in done.stdout
    assert "mark1: 3 notebooks run with fastai 2.8." in done.stdout
    done = make("newest", "CHAPTERS=99", MARK1_CONSTRAINTS=str(held))
    assert done.returncode and "there is no chapter 99" in done.stderr
