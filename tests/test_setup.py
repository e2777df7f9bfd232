"What set-up says when something is missing."
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from conftest import ROOT, typed


@pytest.fixture
def setup_script():
    spec = importlib.util.spec_from_file_location("setup_script", ROOT/"build"/"setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_machine_that_has_all_passes(setup_script):
    setup_script.check_machine()


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_a_python_that_does_not_fit(setup_script, monkeypatch, version):
    other = SimpleNamespace(version_info=version, exit=sys.exit, platform="linux")
    monkeypatch.setattr(setup_script, "sys", other)
    said = rf"this is 3\.{version[1]}; install one and name it: make PYTHON="
    with pytest.raises(SystemExit, match=said): setup_script.check_machine()


def test_a_python_without_venv(setup_script, monkeypatch):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit, match="sudo apt install python3"):
        setup_script.check_machine()


def test_a_full_disk(setup_script, monkeypatch, tmp_path):
    monkeypatch.setattr(setup_script, "VENV", tmp_path/".venv")
    monkeypatch.setattr(setup_script.shutil, "disk_usage", lambda path: SimpleNamespace(free=1e9))
    with pytest.raises(SystemExit, match=r"1\.0 GB of disk are free"):
        setup_script.check_machine()


def test_other_packages_than_there_are(setup_script, monkeypatch):
    monkeypatch.setattr(setup_script, "PACKAGES", "gpu")
    with pytest.raises(SystemExit, match="MARK1_PACKAGES is 'gpu'; set it to 'all', to 'cpu'"):
        setup_script.check_machine()


def test_the_costs_are_said_before_anything_is_fetched(setup_script, monkeypatch, capsys):
    monkeypatch.setattr(setup_script, "CUDA", True)
    for packages, less in (("all", True), ("cpu", False), ("site", False)):
        monkeypatch.setattr(setup_script, "PACKAGES", packages)
        setup_script.announce()
        said = capsys.readouterr().out
        assert "GB to download" in said and ("MARK1_PACKAGES=cpu is enough" in said) == less


def test_a_machine_without_a_card_gets_the_same_lock_without_some_packages(setup_script):
    names = lambda text: {line.split("==")[0] for line in text.splitlines() if not line.startswith(" ")}
    whole = names(setup_script.LOCK.read_text())
    less = names(setup_script.locked(lambda name: name not in setup_script.CUDA_ALONE))
    assert whole - less == setup_script.CUDA_ALONE and {*setup_script.SITE} <= whole
    assert {"torch", "nvidia-cuda-cupti"} <= less # libtorch_cpu.so is linked to the latter
    numpy = setup_script.locked("numpy".__eq__)
    assert numpy.count("numpy==") == setup_script.LOCK.read_text().count("\nnumpy==") and "--hash" in numpy


def test_other_packages_are_wanted():
    "`make` sets up anew where MARK1_PACKAGES names others than those that are there."
    if not (ROOT/".venv"/".mark1-ready").exists():
        pytest.skip("this environment was not made by `make`; type `make setup`")
    planned = lambda packages: typed(["make", "-n", "setup", f"MARK1_PACKAGES={packages}"], cwd=ROOT).stdout
    there = (ROOT/".venv"/".mark1-ready").read_text() or "all"
    other = "cpu" if there == "all" else "all"
    assert "build/setup.py" in planned(other) and "build/setup.py" not in planned("")


def test_no_network_for_the_packages(tmp_path):
    (tmp_path/"build").mkdir()
    for name in ("setup.py", "requirements.txt"):
        shutil.copy(ROOT/"build"/name, tmp_path/"build")
    no_index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, tmp_path/"build"/"setup.py"]
    result = subprocess.run(command, env={**os.environ, **no_index}, capture_output=True, text=True)
    assert result.returncode == 1 and "set-up needs the network once" in result.stderr
    assert not (tmp_path/".venv"/".mark1-ready").exists() # so the next run tries again


def test_no_python_for_make():
    command = ["make", "-B", "setup", "PYTHON=no-such-python"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2 and "there is no no-such-python; install Python 3.11" in result.stdout


def test_a_second_run_installs_nothing():
    if not (ROOT/".venv"/".mark1-ready").exists():
        pytest.skip("this environment was not made by `make`; type `make setup`")
    # not as make's own child
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-n", "run"]
    done = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    planned = done.stdout
    assert planned.split() == [".venv/bin/mark1", "run"]


@pytest.mark.parametrize("package", ["fastai", "torch", "nbclient"])
def test_set_up_compiles_the_packages(package):
    "Else each kernel compiles them anew where PYTHONDONTWRITEBYTECODE is set: 12 s rather than 5 for fastai."
    if not (ROOT/".venv"/".mark1-ready").exists():
        pytest.skip("this environment was not made by `make`; type `make setup`")
    assert Path(importlib.util.cache_from_source(importlib.util.find_spec(package).origin)).is_file()


def test_a_clone_on_windows_keeps_what_a_container_runs(tmp_path):
    "Git for Windows writes CRLF into files of text, unless `.gitattributes` says otherwise."
    settings = ("-c", "core.autocrlf=true", "-c", "core.eol=crlf")
    committed = tmp_path/"committed"
    shutil.copytree(ROOT/"build", committed/"build", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT/".gitattributes", committed)
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "all")):
        subprocess.run(["git", *words], cwd=committed, check=True, capture_output=True)
    for name in ("as it is", "the control"): # in which nothing says otherwise
        clone = tmp_path/name
        subprocess.run(["git", "clone", "-q", "--no-checkout", committed, clone], check=True)
        if name == "the control": (clone/".git"/"info"/"attributes").write_text("* text=auto !eol\n")
        subprocess.run(["git", *settings, "checkout", "-q"], cwd=clone, check=True)
        check = subprocess.run(["sh", clone/"build"/"check_base.sh", "x"], capture_output=True, text=True)
        crlf = b"\r\n" in (clone/"build"/"check_base.sh").read_bytes()
        assert crlf == ("Syntax error" in check.stderr) == (name == "the control"), check.stderr
