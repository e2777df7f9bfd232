"""Run the tests several times, in random order, and keep a table of what failed and of how long each took.

    python tests/steady.py --whole                         five rounds of all that `mark1 test` does
    python tests/steady.py --whole --rounds 3 --beside 2   three, while two processes keep two cores busy
    python tests/steady.py                                 five rounds of pytest over tests/ alone
    python tests/steady.py -- -n 2 tests/test_zoo.py       with words of your own for pytest

The table is in _run/steady/steady.json, and beside it what each round printed. A round's order comes back
with its seed: pytest -p randomly --randomly-dont-reset-seed --randomly-seed=SEED tests
"""
import argparse
import json
import os
import random
import re
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass" # ends with whoever started it


@contextmanager
def busy_loops(
    count:int,
):
    "Keep so many cores busy."
    loops = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try: yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def tests_of(
    report:Path, # as `pytest --junitxml` writes it
) -> dict[str, tuple[float, bool]]: # test to its seconds and whether it failed
    "Read what became of each test; one that is set up and ended apart from its call is one."
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        seconds, failed = found.get(name, (0., False))
        ended_badly = case.find("failure") is not None or case.find("error") is not None
        found[name] = seconds + float(case.get("time")), failed or ended_badly
    return found


def skipped_in(
    report:Path, # as `pytest --junitxml` writes it, or nothing
) -> int: # tests that were skipped
    "Count what a round did not check, since a tool was missing, for instance."
    cases = ElementTree.parse(report).iter("testcase") if report.exists() else []
    return sum(case.find("skipped") is not None for case in cases)


def commands_of(
    log:str, # what `mark1 test` printed
) -> dict[str, tuple[float, bool]]: # command to its seconds and whether it failed
    "Read what became of each of the commands behind `mark1 test`."
    failed = re.search(r"^failed: (.*)$", log, re.MULTILINE)
    faulty = failed[1].split(", ") if failed else []
    ended = re.findall(r"^== (.+): (\d+) s$", log, re.MULTILINE)
    return {command: (float(seconds), command in faulty) for command, seconds in ended}


def one_round(
    seed:int, # of the order
    words:list[str], # for pytest; none for all of `mark1 test`
    log:Path, report:Path, # to write
) -> dict[str, tuple[float, bool]]: # test or command to its seconds and whether it failed
    "Run the tests once."
    report.unlink(missing_ok=True)
    order = f"-p randomly --randomly-dont-reset-seed --randomly-seed={seed}" # whatever pyproject.toml says
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    options = f"{order} --junitxml={shlex.quote(str(report))}"
    environment = {**os.environ, "PATH": path, "PYTEST_ADDOPTS": options}
    command = ["pytest", *words] if words else ["mark1", "test"]
    begun = time.monotonic()
    with open(log, "w", encoding="utf-8") as file:
        streams = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
        done = subprocess.run(command, cwd=ROOT, env=environment, **streams)
    whole = {" ".join(command): (time.monotonic() - begun, done.returncode != 0)}
    parts = {} if words else commands_of(log.read_text(encoding="utf-8"))
    return whole | parts | (tests_of(report) if report.exists() else {})


def table_of(
    rounds:list[dict], # as `one_round` gives them
) -> dict[str, dict]: # test to rounds, times failed, slowest, quickest
    "Put all rounds into one table."
    names = dict.fromkeys(name for each in rounds for name in each)
    seen = {name: [each[name] for each in rounds if name in each] for name in names}
    row = lambda each: {"rounds": len(each), "failed": sum(failed for _, failed in each),
                        "slowest": round(max(each)[0], 2), "quickest": round(min(each)[0], 2)}
    return {name: row(each) for name, each in seen.items()}


def show(
    table:dict[str, dict], # of `table_of`
    most:int=20,
):
    "Print what failed, and the slowest of the rest."
    by_time = sorted(table, key=lambda name: table[name]["slowest"], reverse=True)
    failed = [name for name in by_time if table[name]["failed"]]
    rest = [name for name in by_time if not table[name]["failed"]]
    print(f"\n{'failed':>9} {'slowest':>9} {'quickest':>9}")
    for name in failed + rest[:most]:
        row = table[name]
        times = f"{row['slowest']:>7.1f} s {row['quickest']:>7.1f} s"
        print(f"{row['failed']:>4} of {row['rounds']:>2} {times}  {name}")
    print(f"{len(failed)} of {len(table)} failed" if failed else f"none of {len(table)} failed")


def command_line(
) -> argparse.ArgumentParser:
    "Take the words and options of this script."
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", default=["tests"], help="for pytest, after -- (default: tests)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often (default: 5)")
    parser.add_argument("--beside", type=int, default=0, metavar="K", help="busy loops beside (default: 0)")
    parser.add_argument(
        "--whole",
        action="store_true",
        help="run all of `mark1 test` rather than pytest alone",
    )
    parser.add_argument("--out", type=Path, default=ROOT/"_run"/"steady", metavar="FOLDER",
                        help="where the table goes (default: _run/steady)")
    return parser


def main(
) -> int: # 1 where anything failed
    "Run all rounds."
    args = command_line().parse_args()
    out = args.out.resolve()
    rounds, facts = [], []
    out.mkdir(parents=True, exist_ok=True)
    with busy_loops(args.beside):
        for number in range(1, args.rounds + 1):
            seed = random.randrange(2**32)
            print(f"round {number} of {args.rounds}, seed {seed}", end="", flush=True)
            words = [] if args.whole else args.words
            found = one_round(seed, words, out/f"round-{number}.log", out/"report.xml")
            failed = [name for name, (_, failed) in found.items() if failed]
            seconds = next(iter(found.values()))[0] # the first row is the command itself
            skipped = skipped_in(out/"report.xml")
            left_out = f", {skipped} skipped" if skipped else ""
            print(f": {seconds:.0f} s, {', '.join(failed) or 'all well'}{left_out}", flush=True)
            rounds.append(found)
            facts.append({"seed": seed, "failed": failed, "skipped": skipped})
            kept = {"beside": args.beside, "rounds": facts, "tests": table_of(rounds)}
            (out/"steady.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    show(table_of(rounds))
    return int(any(fact["failed"] for fact in facts))


if __name__ == "__main__": sys.exit(main())
