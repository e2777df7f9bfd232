"The set-up for Colab keeps the torch that is there, even where the course asks for a newer one."
import os
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT


@pytest.fixture
def colab(tmp_path):
    "A small environment with a torch that says it is too old, and a clone of something that asks for a newer one."
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
    (clone/"pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n\n'
                                        '[project]\nname = "toy"\nversion = "1"\ndependencies = ["torch>=2.15", "jupyterlab"]\n')
    (clone/"backend.py").write_text("""import zipfile
def build_wheel(folder, *args):
    with zipfile.ZipFile(folder + "/toy-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy.py", "")
        wheel.writestr("toy-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: toy\\nVersion: 1\\nRequires-Dist: torch>=2.15\\nRequires-Dist: jupyterlab\\n")
        wheel.writestr("toy-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: toy\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("toy-1.dist-info/RECORD", "")
    return "toy-1-py3-none-any.whl"
""")
    environment = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}
    there = lambda: {path.name.partition("-")[0]: path.name for path in site.glob("*.dist-info")}
    return lambda *words: subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True), python, clone, there


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
