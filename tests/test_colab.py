"""The set-up for Colab keeps the torch that is there, even where the course asks for a newer one.

A chapter's cell calls it.
"""
import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from mark1.workshop.notebook import setting
from traitlets.config import Config

from conftest import ROOT


@pytest.fixture
def colab(tmp_path):
    "Make a small environment whose torch says it is too old, and a clone of something that asks for a newer."
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path/"venv"], check=True)
    python = tmp_path/"venv"/"bin"/"python"
    site = next((tmp_path/"venv"/"lib").glob("python*"))/"site-packages"
    info = site/"torch-2.1.0+cu121.dist-info"
    info.mkdir()
    (info/"METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.1.0+cu121\n")
    (info/"RECORD").write_text("")
    (info/"INSTALLER").write_text("uv\n")
    clone = tmp_path/"mark1"
    (clone/"build").mkdir(parents=True)
    shutil.copy(ROOT/"build"/"colab.py", clone/"build")
    (clone/"pyproject.toml").write_text(
        '[build-system]\n'
        'requires = []\n'
        'build-backend = "backend"\n'
        'backend-path = ["."]\n'
        '\n'
        '[project]\n'
        'name = "toy"\n'
        'version = "1"\n'
        'dependencies = ["torch>=2.15", "jupyterlab"]\n'
    )
    (clone/"backend.py").write_text("""import zipfile
def build_wheel(folder, *args):
    with zipfile.ZipFile(folder + "/toy-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy.py", "")
        wheel.writestr("toy-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: toy\\nVersion: 1\\n"
                       "Requires-Dist: torch>=2.15\\nRequires-Dist: jupyterlab\\n")
        wheel.writestr("toy-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: toy\\n"
                       "Root-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("toy-1.dist-info/RECORD", "")
    return "toy-1-py3-none-any.whl"
""")
    environment = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}
    there = lambda: {path.name.partition("-")[0]: path.name for path in site.glob("*.dist-info")}
    def install(*words):
        return subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True)
    return install, python, clone, there


def test_torch_stays(colab):
    run, python, clone, there = colab
    done = run(python, clone/"build"/"colab.py", "--offline", "--no-index")
    assert done.returncode == 0, done.stderr
    assert "kept torch==2.1.0+cu121" in done.stdout
    assert there() == {"torch": "torch-2.1.0+cu121.dist-info", "toy": "toy-1.dist-info"}


def test_without_the_override_it_would_not(colab):
    run, python, clone, there = colab
    done = run("uv", "pip", "install", "--python", python, "--offline", "--no-index", clone)
    assert done.returncode and "torch" in done.stderr and "toy" not in there()


def test_the_cell_of_a_chapter_installs_the_course(tmp_path, monkeypatch):
    "In a shell that says it is Colab's, with a small repository for ours: cloned once, installed, gone to."
    address = setting("git_url")
    work, home = tmp_path/"work", tmp_path/"content"
    (work/"build").mkdir(parents=True)
    (work/"nbs").mkdir()
    (work/"nbs"/"01_toy.ipynb").write_text("{}")
    (work/"build"/"colab.py").write_text("open('installed', 'a').write('x')")
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "all")):
        subprocess.run(["git", *words], cwd=work, check=True)
    home.mkdir()
    monkeypatch.chdir(home)
    instead = {"COUNT": "1", "KEY_0": f"url.file://{work}.insteadOf", "VALUE_0": address}
    for name, value in instead.items(): monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")
    cells = nbformat.read(ROOT/"nbs"/"01_first_model.ipynb", as_version=4).cells
    cell = next(cell for cell in cells if cell.id == "colab")
    kind = type("Shell", (InteractiveShell,), {"__module__": "google.colab._shell"})
    shell = kind(config=Config(HistoryManager={"enabled": False})) # it would be written when Python ends
    for _ in range(2):
        shell.run_cell(cell.source.replace("/content/", f"{home}/")).raise_error()
    assert os.getcwd() == str(home/address.rpartition("/")[2]/"nbs") and os.path.exists("01_toy.ipynb")
    # one for each time, where it stood
    assert (home/"installed").read_text() == "x" and open("installed").read() == "x"
