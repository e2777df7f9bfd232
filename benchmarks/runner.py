"""What running and testing the chapters costs, against plain nbclient, one chapter after another.

    python benchmarks/runner.py [--rounds N] [--tests]

A round takes some five minutes; with --tests, `pytest tests` runs once. Writes runner.json. The plain arm
starts each kernel anew, gives it the same one thread, and leaves out the cells that the runner leaves out.
Its outputs must be the same as those of `mark1 run`, whose kernels are forked: cells that differ are counted.
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

import nbformat
from harness import compare, measure, report
from mark1.workshop.kernels import kernel_environment
from mark1.workshop.notebook import find_chapters, is_skipped, normal_outputs, repository, sanitize_patterns
from nbclient import NotebookClient

ROOT = repository(Path(__file__).parent)
PLAIN = ROOT/"_run"/"plain"
BIN = Path(sys.executable).parent


def one_after_another():
    "Execute every chapter with plain nbclient and keep the executed notebooks in PLAIN."
    PLAIN.mkdir(parents=True, exist_ok=True)
    for path in find_chapters(ROOT/"nbs"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code" and is_skipped(cell.source):
                cell.metadata["tags"] = ["skip-execution"]
        place = {"metadata": {"path": str(path.parent)}}
        client = NotebookClient(notebook, timeout=600, kernel_name="python3", coalesce_streams=True,
                                store_widget_state=False, resources=place)
        client.execute(env=kernel_environment(), stderr=subprocess.DEVNULL)
        nbformat.write(notebook, PLAIN/path.name)


def command(*words):
    "Make an arm that runs a command to its end. `SystemExit` where it fails."
    def run():
        result = subprocess.run([str(BIN/words[0]), *words[1:]], cwd=ROOT, env=kernel_environment(),
                                capture_output=True, text=True)
        if result.returncode:
            said = f"{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
            raise SystemExit(f"{' '.join(words)} failed:\n{said}")
    return run


def differing():
    "List cells whose outputs differ between plain kernels and `mark1 run`; count those with outputs."
    patterns = sanitize_patterns(ROOT/"tests"/"sanitize.cfg")
    differ = []
    of = 0
    for path in find_chapters(ROOT/"nbs"):
        plain = nbformat.read(PLAIN/path.name, as_version=4)
        run = nbformat.read(ROOT/"_run"/path.name, as_version=4)
        for one, other in zip(plain.cells, run.cells, strict=True):
            if one.cell_type != "code" or not one.outputs: continue
            of += 1
            if normal_outputs(one, patterns) != normal_outputs(other, patterns):
                differ.append(f"{path.stem}: {one.source.splitlines()[0]}")
    return differ, of


def main():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tests", action="store_true", help="time `pytest tests` as well, once")
    args = parser.parse_args()
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    reference = "plain nbclient, one after another"
    both = "nbdev_test and nbval together"
    arms = {
        reference: one_after_another,
        "mark1 run": command("mark1", "run"),
        "nbdev_test": command("nbdev_test"),
        "pytest --nbval nbs": command("pytest", "-q", "--nbval", "nbs"),
    }
    times = measure(arms, args.rounds)
    times[both] = [sum(pair) for pair in zip(times["nbdev_test"], times["pytest --nbval nbs"])]
    figures = compare(times, reference, {"mark1 run": .45, both: 1.})
    differ, of = differing()
    cells = "".join(f"; {cell}" for cell in differ)
    facts = {"cells that differ from plain kernels": f"{len(differ)} of {of}{cells}"}
    result = Path(__file__).with_suffix(".json")
    report("Running and testing the chapters", figures, result, **facts)
    if not args.tests: return
    seconds = measure({"pytest tests": command("pytest", "-q", "tests")}, 1)["pytest tests"][0]
    facts["pytest tests, once, in seconds"] = round(seconds)
    report("Running and testing the chapters", figures, result, **facts)


if __name__ == "__main__": main()
