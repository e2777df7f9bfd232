"""Try the course with the newest fastai, fastcore and nbdev: `make newest` calls this.

All happens below _run/newest: an environment of its own, and a copy of what git keeps. Export must give the
same modules there, cleaning must leave the notebooks as they are, and each notebook must run; names of
chapters run those alone. MARK1_CONSTRAINTS names a file of versions to stay with, say of torch.
"""
import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

from mark1.workshop.kernels import kernel_environment

from setup import write_settings

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "_run" / "newest"
VENV = PLACE / "venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
UV = Path(sys.executable).parent / "uv"
# in place of the pins of pyproject.toml; plum-dispatch stays below 2.10, which cannot export a Learner
NEWEST = {"fastai": ">=2.8.12", "fastcore": ">=2", "nbdev": ">=3.3", "execnb": ">=0.2"}
EXPORT = "from nbdev.doclinks import nbdev_export; nbdev_export()"
CLEAN = "from nbdev.clean import nbdev_clean; nbdev_clean()"
TEST = """
import sys
from nbdev.test import nbdev_test
for path in sys.argv[1:]: nbdev_test(path, do_print=True)
"""


def run(*words, cwd=PLACE):
    """Run a command to its end, with the new environment's programs first; a failure ends this program."""
    path = os.pathsep.join([str(PYTHON.parent), os.environ["PATH"]])
    environment = dict(kernel_environment(), PATH=path, VIRTUAL_ENV=str(VENV))
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=environment)
    if done.returncode: sys.exit(done.returncode)


def with_newest(pyproject, address):
    """Put the newest in place of the pins, and the address where nbdev 3 looks for it."""
    for name, version in NEWEST.items():
        pyproject, found = re.subn(r'"%s[=<>].*?"' % name, '"%s%s"' % (name, version), pyproject)
        if found != 1: sys.exit("mark1: pyproject.toml pins %s %d times, not once" % (name, found))
    pyproject = pyproject.replace('dynamic = ["readme", "urls"]', 'dynamic = ["readme"]')
    return pyproject.replace("[tool.nbdev]", '[project.urls]\nRepository = "%s"\n\n[tool.nbdev]' % address)


def copy():
    """Copy what git keeps, with the newest wanted in pyproject.toml; the copy comes back."""
    fresh = PLACE / "copy"
    shutil.rmtree(fresh, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, fresh / name)
    settings = ConfigParser(interpolation=None)
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    pyproject = fresh / "pyproject.toml"
    text = with_newest(pyproject.read_text(encoding="utf-8"), settings["DEFAULT"]["git_url"])
    pyproject.write_text(text, encoding="utf-8")
    return fresh


def install(fresh):
    """Make an environment with the newest of everything that the copy's pyproject.toml allows."""
    stay = os.environ.get("MARK1_CONSTRAINTS")
    stay = ["--constraint", Path(stay).resolve()] if stay else []
    run(UV, "venv", "--quiet", "--clear", "--python", sys.executable, VENV)
    pip = UV, "pip", "install", "--quiet", "--python", PYTHON
    run(*pip, *stay, "--extra", "site", "-r", fresh / "pyproject.toml")
    run(*pip, "--no-deps", "--no-build-isolation", "-e", fresh)
    write_settings(VENV)


def differences(fresh):
    """List the modules and notebooks of the copy that are not what they were."""
    def content(path):
        text = path.read_text(encoding="utf-8")
        if path.name != "_modidx.py": return text
        return re.sub(r"'doc_(baseurl|host)': '.*'", "", text) # nbdev 3 asks for another setting
    paths = {path.relative_to(root) for root in (ROOT, fresh)
             for path in [*(root / "mark1").rglob("*.py"), *(root / "nbs").rglob("*.ipynb")]}
    def same(path):
        both = [root / path for root in (ROOT, fresh)]
        return all(each.is_file() for each in both) and content(both[0]) == content(both[1])
    return sorted(str(path) for path in paths if ".ipynb_checkpoints" not in path.parts and not same(path))


def main():
    PLACE.mkdir(parents=True, exist_ok=True)
    fresh = copy()
    install(fresh)
    for module in (fresh / "mark1").rglob("*.py"):
        if module.name != "__init__.py": module.unlink() # so that none is left from before
    for step in (EXPORT, CLEAN): run(PYTHON, "-c", step, cwd=fresh)
    if changed := differences(fresh):
        sys.exit("mark1: the newest nbdev writes these in another way: " + ", ".join(changed))
    print("mark1: export and cleaning change nothing", flush=True)
    names = sys.argv[1:]
    every = sorted((fresh / "nbs").rglob("*.ipynb"))
    chosen = [path for path in every if not names or path.stem in names]
    if unknown := {*names} - {path.stem for path in every}:
        sys.exit("mark1: there is no chapter %s; give names such as 03_metrics" % ", ".join(sorted(unknown)))
    run(PYTHON, "-c", TEST, *(chosen if names else [fresh / "nbs"]), cwd=fresh)
    listed = subprocess.run([UV, "pip", "list", "--python", PYTHON], capture_output=True, text=True)
    found = re.findall(r"^(fastai|fastcore|nbdev|torch) +(\S+)", listed.stdout, re.MULTILINE)
    print("mark1: %d notebooks run with %s" % (len(chosen), ", ".join(map(" ".join, found))))


if __name__ == "__main__":
    main()
