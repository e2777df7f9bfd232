"""What a release consists of: the wheel and the source distribution, used where the repository is not.

About: environment, notebook, runner.
"""
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email import message_from_bytes

import pytest
from mark1.data.sets import MANIFEST
from mark1.workshop.notebook import setting

from conftest import BIN, ROOT, copy_tracked, tracked, typed


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    "Build wheel and source distribution from a copy, offline; the folder that holds them comes back."
    folder = tmp_path_factory.mktemp("release")
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, copy_tracked(folder/"copy")]
    done = typed(words, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def alone(built):
    "Install the wheel, and nothing else, into a new environment; the folder of its commands comes back."
    place = built/"alone"
    uv = lambda *words: typed([BIN/"uv", *words, "--quiet", "--offline", "--no-config"], cwd=built)
    made = uv("venv", "--python", sys.executable, place)
    wheel, = built.glob("*.whl")
    bin = place/("Scripts" if os.name == "nt" else "bin")
    done = uv("pip", "install", "--no-deps", "--python", bin/"python", wheel)
    assert made.returncode == done.returncode == 0, made.stderr + done.stderr
    return bin


@pytest.fixture(scope="module")
def beside_the_rest(alone):
    "Let that environment see the packages of this one, but not this repository."
    folder = alone.parent/os.path.relpath(sysconfig.get_path("purelib"), sys.prefix)
    (folder/"rest.pth").write_text(sysconfig.get_path("purelib")) # a path, whose own .pth files are not read
    yield alone
    (folder/"rest.pth").unlink()


def metadata_of(wheel):
    "Read what a wheel says of itself."
    with zipfile.ZipFile(wheel) as file:
        name, = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(file.read(name))


def test_ez_runs_where_nothing_else_is_installed(alone, tmp_path):
    assert typed([alone/"ez", "--version"], cwd=tmp_path).stdout.startswith(f"ez {setting('version')}")
    planned = typed([alone/"ez", "env", "go", "--dry-run", "https://example.org/a/b"], cwd=tmp_path)
    assert planned.returncode == 0 and "git clone -- https://example.org/a/b" in planned.stdout
    listed = typed([BIN/"uv", "pip", "list", "--offline", "--python", alone/"python"], cwd=tmp_path).stdout
    assert [line.split()[0] for line in listed.splitlines()[2:]] == ["mark1"]


def test_outside_a_clone_it_is_said_how_to_get_one(beside_the_rest, tmp_path):
    result = typed([beside_the_rest/"mark1", "run"], cwd=tmp_path)
    told = rf"mark1: .* is not inside the Mark 1 repository; .*`git clone {re.escape(setting('git_url'))}`\n"
    assert result.returncode == 2 and re.fullmatch(told, result.stderr), result.stderr


def test_mark1_says_its_version(mark1_here, capsys):
    with pytest.raises(SystemExit, match="^0$"): mark1_here("--version")
    assert capsys.readouterr().out == f"mark1 {setting('version')}\n"


CALL_ALL = """
import importlib, inspect, pkgutil
import mark1
for found in pkgutil.walk_packages(mark1.__path__, "mark1."):
    module = importlib.import_module(found.name)
    assert module.__file__.startswith({place!r}), module.__file__
    if "workshop" in found.name: continue
    for name in getattr(module, "__all__", ()):
        function = getattr(module, name)
        if not inspect.isfunction(function) or function.__module__ != found.name: continue
        try: inspect.signature(function).bind()
        except TypeError: continue
        try: function()
        except ConnectionError: pass # full data, and no network
        except (TypeError, ValueError) as error: print("asks for more:", name, error)
        print("called", name)
"""


@pytest.mark.slow
def test_modules_and_calls_without_arguments_work_in_another_folder(beside_the_rest, tmp_path):
    place = str(beside_the_rest.parent)
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9",
                   "FASTAI_HOME": str(tmp_path), "MPLBACKEND": "agg"}
    words = [beside_the_rest/"python", "-W", "ignore", "-c", CALL_ALL.format(place=place)]
    result = typed(words, cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("called") > 40 and result.stdout.count("asks for more") <= 3, result.stdout


def test_the_wheel_says_where_it_comes_from_and_what_it_needs(built):
    wheel, = built.glob("*.whl")
    said = metadata_of(wheel)
    addresses = dict(each.split(", ") for each in said.get_all("Project-URL"))
    assert addresses["Repository"] == setting("git_url") and len(addresses) == 3
    assert said["License-Expression"] == "Apache-2.0" and len(said.get_all("Classifier")) > 5
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", said.get_payload(), flags=re.DOTALL))
    assert len(targets) > 40 and all(target.startswith("https://") for target in targets)
    ours = {target for target in targets if target.startswith(f"{setting('git_url')}/")}
    files = [target.split("/main/")[1].split("#")[0] for target in ours if "/main/" in target]
    assert len(files) > 40 and all((ROOT/name).exists() for name in files)


def test_the_notice_names_every_package_with_data():
    text = (ROOT/"NOTICE").read_text()
    named = [row.source for row in MANIFEST.values() if row.form == "packaged"]
    packages = {name for source in named for name in source.split(" and ") if not name.startswith("mark1.")}
    assert len(packages) >= 5 and all(f"\n{name}: " in text for name in packages)
    fonts = ROOT/"blog"/"static"/"fonts"
    assert str(fonts.relative_to(ROOT)) in text and (fonts/"OFL.txt").is_file()


def test_wheel_and_source_distribution_hold_what_they_should(built):
    wheel, = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as file: names = {*file.namelist()}
    assert {name for name in names if ".dist-info/" not in name} == {
        name for name in tracked() if name.startswith("mark1/")}
    assert {"LICENSE", "NOTICE"} <= {name.rpartition("licenses/")[2] for name in names}
    source, = built.glob("*.tar.gz")
    with tarfile.open(source) as file:
        held = {name.partition("/")[2] for name in file.getnames()}
    assert not {*tracked()} - held


def test_a_release_is_prepared_and_its_wheel_looked_at(built, tmp_path):
    script = runpy.run_path(str(ROOT/"build"/"release.py"))
    for name in ("CHANGELOG.md", *script["PLACES"]): shutil.copy(ROOT/name, tmp_path)
    assert set(script["versions"](ROOT).values()) == {setting("version")}
    news = (tmp_path/"CHANGELOG.md").read_text(encoding="utf-8").partition("## [Unreleased]\n")[2].strip()
    for _ in range(2): # a second time changes nothing
        script["write"](tmp_path, "9.8.7", "2030-01-02")
        assert set(script["versions"](tmp_path).values()) == {"9.8.7"}
        changelog = (tmp_path/"CHANGELOG.md").read_text(encoding="utf-8")
        assert script["section"](changelog, "9.8.7") == news.partition("\n## ")[0].strip()
        assert changelog.count("## [9.8.7] - 2030-01-02") == changelog.count("## [Unreleased]") == 1
        assert (tmp_path/"CITATION.cff").read_text().count("date-released: 2030-01-02") == 1
    with pytest.raises(SystemExit, match="says nothing below"):
        script["write"](tmp_path, "9.8.8", "2030-01-03")
    wheel, = built.glob("*.whl")
    assert script["faults"](wheel, setting("version")) == []
    other = tmp_path/wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            said = old.read(name)
            if name.endswith("METADATA"): said = said.replace(b"](https://", b"](nbs/", 1)
            if not name.endswith("LICENSE"): new.writestr(name, said)
    found = script["faults"](other, "9.8.7")
    assert len(found) == 3 and "nowhere" in found[1] and "licence" in found[2]


@pytest.mark.parametrize("words", [
    ("mark1", "doctor"),
    ("ez", "env", "go", "--dry-run", "https://example.org/a/b"),
    ("python", "blog/build.py", "--help"),
    ("python", "blog/authoring.py"),
], ids=" ".join)
def test_a_reader_who_stops_is_no_fault(words):
    "As in `mark1 doctor | head -1`: nobody reads the rest."
    reads, writes = os.pipe()
    os.close(reads)
    try: result = subprocess.run([BIN/words[0], *words[1:]], cwd=ROOT, stdout=writes, stderr=subprocess.PIPE)
    finally: os.close(writes)
    assert result.returncode in (0, 141) and result.stderr == b"", result
