"""Put faults into the code, one at a time, and say who notices each: chapter, tests, stored outputs, nobody.

    python tests/mutants.py                    every fault of tests/mutants.toml, and a control for each file
    python tests/mutants.py metrics blog/      those whose file's name holds one of these words
    python tests/mutants.py --changed          three at most, of files that differ from the last commit
    python tests/mutants.py --jobs 2           two at a time, each in a copy of the repository of its own

The slow imports are done once, in this process, which never imports mark1. For each fault it is forked: a
chapter's cells run as `nbdev_test` runs them, then the tests that the entry names, then nbval. The first
that fails has noticed; what takes longer than its time limit has noticed, too.
"""
import argparse
import ast
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT/"tests"/"mutants.toml"
LIMIT = 400 # seconds that a chapter, or tests, may take; without a fault the slowest takes a fifth of it
CONTROL = "control" # a kind of fault that is none
ASKED_FOR = .95 # share of the faults that must be noticed
SLOW_IMPORTS = ("torch", "torchvision", "timm", "pandas", "sklearn.linear_model", "skimage.io", "scipy.stats",
                "fastai.vision.all", "fastai.collab", "fastai.tabular.all", "matplotlib.pyplot",
                "mlxtend.data", "nbdev.test", "nbformat", "nbclient", "rich.table", "pytest")


@dataclass(frozen=True)
class Mutant:
    "One fault that somebody might make."
    file:str # a notebook, or a script of the site
    old:str # stands once in the file's code, in the exported cells of a notebook
    new:str # what stands there by mistake; the same as `old` for a control
    kind:str # of mistake
    tests:tuple[str, ...]=() # files, or tests of a file
    equivalent:str="" # why nobody can notice it

    @property
    def name(self) -> str:
        "Name it in a table."
        line = lambda text: " ".join(text.split())
        return f"{self.file}: {self.kind}: {line(self.old)} -> {line(self.new) or 'nothing'}"


def read_mutants(
    path:Path=LIST,
) -> list[Mutant]:
    "Read the list."
    files = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    return [Mutant(file, old, new, kind, tuple(about.get("tests", ())), "".join(reason))
            for file, about in files.items() for kind, old, new, *reason in about["faults"]]


def exported(
    text:str, # of a notebook, or of a script
    name:str, # of the file
) -> tuple[str, ...]: # sources; a script is one
    "Read the cells that a module is made of."
    if not name.endswith(".ipynb"): return (text,)
    sources = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return tuple(source for source in sources if re.search(r"^#\| *exports?i?\b", source, re.MULTILINE))


@cache
def exported_cells(
    path:Path,
) -> tuple[str, ...]: # as `exported`
    "Read a file once."
    return exported(path.read_text(encoding="utf-8"), path.name)


def module_of(
    path:Path, # a notebook
    root:Path, # of its repository
) -> Path: # the file that the notebook writes
    "Find a notebook's module."
    name = re.search(r"#\| *default_exp ([\w.]+)", path.read_text(encoding="utf-8"))[1]
    return root/"mark1"/f"{name.replace('.', '/')}.py"


def cell_of(
    mutant:Mutant,
    root:Path=ROOT,
) -> str: # source
    "Find the cell that a fault goes into. `ValueError` says what to do where there is not exactly one."
    cells = [source for source in exported_cells(root/mutant.file) if mutant.old in source]
    count = sum(source.count(mutant.old) for source in cells)
    if count == 1: return cells[0]
    found = f"stands {count} times in the exported code" if count else "is no longer in the exported code"
    raise ValueError(f"{mutant.file}: {mutant.old!r} {found}; mend this entry of tests/mutants.toml, "
                     "so that its old text is there once")


def with_fault(
    mutant:Mutant,
    root:Path=ROOT,
) -> dict[Path, str]: # files to their texts with the fault: a notebook and its module, or a script
    "Write a fault's files. `ValueError` as for `cell_of`, and where the cell is no Python any more."
    path = root/mutant.file
    cell = cell_of(mutant, root)
    if path.suffix in (".ipynb", ".py"): ast.parse(cell.replace(mutant.old, mutant.new))
    if path.suffix != ".ipynb": return {path: cell.replace(mutant.old, mutant.new)}
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for each in notebook["cells"]:
        if "".join(each["source"]) == cell: each["source"] = cell.replace(mutant.old, mutant.new)
    module = module_of(path, root)
    code = module.read_text(encoding="utf-8")
    count = code.count(mutant.old)
    if count != 1:
        raise ValueError(f"{mutant.old!r} stands {count} times in {module.relative_to(root)}; "
                         f"run `nbdev_export`, or choose another text in {mutant.file}")
    return {path: json.dumps(notebook), module: code.replace(mutant.old, mutant.new)}


# One fault

def begin(action, folder, log):
    "Do something in a fork, as its own process group; what it says goes into a file."
    os.setsid()
    os.chdir(folder)
    with open(log, "w") as file:
        for stream in (1, 2): os.dup2(file.fileno(), stream)
    sys.stdout, sys.stderr = (open(stream, "w", buffering=1, closefd=False) for stream in (1, 2))
    sys.exit(action())


def noticed(
    action, # gives 0 where all is well
    folder:Path,
    log:Path,
) -> str: # what it says; '' where all is well
    "Fork, do something, and say what went wrong there."
    child = get_context("fork").Process(target=begin, args=(action, folder, log))
    child.start()
    child.join(LIMIT)
    late = child.is_alive()
    with suppress(ProcessLookupError): os.killpg(child.pid, signal.SIGKILL) # and whatever it left running
    child.join()
    if late: return "took longer than its time limit"
    if not child.exitcode: return ""
    said = [line for line in log.read_text(errors="replace").splitlines() if line.strip(" =")]
    errors = [line for line in said if re.match(r"(E  |FAILED|ERROR|\w*(Error|Exception)\b)", line)]
    return " ".join((errors or said or ["ended without a word"])[-1].split())


def run_chapter(path):
    "Run a chapter's cells as `nbdev_test` does."
    from nbdev.test import test_nb
    passed, _ = test_nb(path, skip_flags=["notest"], basepath=Path.cwd())
    return int(not passed)


def run_pytest(*words):
    "Run tests. `ValueError` where there are none."
    import pytest
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *words])
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise ValueError(f"pytest finds nothing to run in {' '.join(words)}")
    return int(code)


def stages(
    mutant:Mutant,
    folder:Path, # of a copy
) -> dict: # who may notice, in turn, to what it does
    "List who looks at a fault."
    chapter = mutant.file.endswith(".ipynb")
    looks = {}
    if chapter: looks["chapter"] = partial(run_chapter, folder/mutant.file)
    if mutant.tests: looks["test"] = partial(run_pytest, *mutant.tests)
    if chapter and mutant.kind != CONTROL: # which `make test` does
        looks["stored output"] = partial(run_pytest, "--nbval", mutant.file)
    return looks


def judge(
    mutant:Mutant,
) -> tuple[Mutant, str, str, float]: # with who noticed it, what was said, and seconds
    "Put a fault into this process's copy, see who notices, and take it out again."
    begun = time.monotonic()
    folder = copied()
    files = with_fault(mutant, folder)
    before = {path: path.read_text(encoding="utf-8") for path in files}
    try:
        for path, text in files.items(): path.write_text(text, encoding="utf-8")
        for who, action in stages(mutant, folder).items():
            said = noticed(action, folder, folder.parent/"log")
            if said: return mutant, who, said, time.monotonic() - begun
    finally:
        for path, text in before.items(): path.write_text(text, encoding="utf-8")
    return mutant, "nobody", "", time.monotonic() - begun


# All of them

@cache
def copied(
) -> Path:
    "Copy the repository to a folder of this process's own, and have Python look there first."
    folder = Path(tempfile.mkdtemp(dir=os.environ["MARK1_MUTANTS"]))/"copy"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if not (ROOT/name).is_file(): continue # deleted
        (folder/name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT/name, folder/name)
    os.environ["PYTHONPATH"] = str(folder)
    sys.path.insert(0, str(folder))
    return folder


def prepare():
    "Do the slow imports, and set the environment of all forks."
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                   "PYTHONWARNINGS": "ignore::FutureWarning"}
    sys.dont_write_bytecode = True # a fault may keep a file's length and second
    for name in [name for name in os.environ if name.startswith("MARK1_")]: del os.environ[name]
    for name in SLOW_IMPORTS: importlib.import_module(name)


def controls(
    mutants:list[Mutant],
) -> list[Mutant]: # one for each file, with the tests of all its faults
    "Make faults that are none: where one of them is noticed, what is said of its file means nothing."
    files = dict.fromkeys(mutant.file for mutant in mutants)
    of = lambda file: [mutant for mutant in mutants if mutant.file == file]
    tests = lambda file: tuple(dict.fromkeys(test for mutant in of(file) for test in mutant.tests))
    return [replace(of(file)[0], new=of(file)[0].old, kind=CONTROL, tests=tests(file)) for file in files]


def judged(
    mutants:list[Mutant],
    jobs:int, # at a time
):
    "Judge many; each comes when it is done."
    prepare()
    with tempfile.TemporaryDirectory(prefix="mark1-mutants-") as folder:
        os.environ["MARK1_MUTANTS"] = folder
        for name in ("TMPDIR", "FASTAI_HOME"): # what a fault leaves behind goes with the folder
            os.environ[name] = tempfile.mkdtemp(dir=folder)
        tempfile.tempdir = None # to be read anew
        with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
            for future in as_completed([pool.submit(judge, mutant) for mutant in mutants]):
                yield future.result()


def changed(
    mutants:list[Mutant],
    most:int=3,
) -> list[Mutant]: # those of changed cells first
    "Choose faults for what differs from the last commit; none where nothing does, or where there is no git."
    def git(*words): # '' where it does not say
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""
    new = set(git("diff", "--name-only", "HEAD").splitlines())
    before = {file: git("show", f"HEAD:{file}") for file in {mutant.file for mutant in mutants} & new}
    was_there = {file: exported(text, file) if text else () for file, text in before.items()}
    some = [mutant for mutant in mutants if mutant.file in new and not mutant.equivalent]
    return sorted(some, key=lambda mutant: cell_of(mutant) in was_there[mutant.file])[:most]


def main(
    words:list[str]=None, # of the command line
) -> int: # 1 where too few were noticed, or a control was; 2 for an entry that has lost its place
    "Judge faults, and print each with who noticed it."
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", help="parts of the names of files; all when there are none")
    parser.add_argument("--changed", action="store_true", help="three at most, of files that changed")
    parser.add_argument("--no-controls", action="store_true", help="trust that all is well without a fault")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="at a time (default: 1)")
    args = parser.parse_args(words)
    mutants = [mutant for mutant in read_mutants()
               if not args.words or any(word in mutant.file for word in args.words)]
    if args.changed: mutants = changed(mutants)
    try:
        for mutant in mutants: with_fault(mutant) # before anything takes long
    except ValueError as error:
        print(f"mark1: {error}", file=sys.stderr)
        return 2
    without = [] if args.no_controls or args.changed else controls(mutants)
    results = []
    for mutant, who, said, seconds in judged(without + mutants, args.jobs):
        results.append((mutant, who))
        print(f"{who:<13} {seconds:4.0f} s  {mutant.name}", flush=True)
        if said: print(f"{'':21}{said[:140]}", flush=True)
    return summary(results)


def summary(
    results:list[tuple[Mutant, str]], # with who noticed
) -> int: # exit code of the whole
    "Print how many were noticed, and by whom."
    real = [(mutant, who) for mutant, who in results if mutant.kind != CONTROL and not mutant.equivalent]
    for mutant, who in results:
        if mutant.equivalent: print(f"equivalent, as {mutant.equivalent}: {mutant.name}; noticed by {who}")
    for mutant, who in real:
        if who == "nobody": print(f"NOBODY NOTICED {mutant.name}")
    faulty = [mutant.file for mutant, who in results if mutant.kind == CONTROL and who != "nobody"]
    if faulty: print(f"without a fault these do not pass, so they prove nothing: {', '.join(faulty)}")
    counts = Counter(who for _, who in real)
    seen = len(real) - counts["nobody"]
    told = ", ".join(f"{count} by {who}" for who, count in counts.items())
    print(f"{seen} of {len(real)} faults noticed: {told}")
    return int(bool(faulty) or seen < ASKED_FOR*len(real))


if __name__ == "__main__": sys.exit(main())
