"""Who may do what: the lab, the lab in a container, and files that are loaded.

`make blog` is asked under other names in test_serve.py; what a page takes from an output is in test_gates.py,
what an archive may do in test_downloads.py.

About: environment, runner, networks.
"""
import ast
import json
import os
import signal
import subprocess
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.parse import urlsplit

import psutil
import pytest
import torch
from mark1.data import networks
from mark1.workshop.environment import jupyter_address

from conftest import BIN, PATIENCE, ROOT, listening, tracked, wait_for


def status_of(address, **headers):
    "Ask for an address; the code of the answer comes back."
    request = urllib.request.Request(address, headers=headers)
    try: return urllib.request.urlopen(request, timeout=PATIENCE).status
    except HTTPError as error: return error.code


@pytest.fixture
def lab(toy_repository, short_folder):
    "Start `mark1 lab` on a toy; its address, its token and its process come back."
    home = toy_repository(_01_toy=["1 + 1"])
    environment = {**os.environ, "JUPYTER_RUNTIME_DIR": short_folder, "HOME": str(home)}
    environment.pop("JUPYTER_TOKEN", None)
    words = ["lab", "--no-browser", "--allow-root", "--ServerApp.port=0"]
    with open(home/"log", "w") as log:
        process = subprocess.Popen([BIN/"mark1", *words], cwd=home, env=environment, stdout=log, stderr=log,
                                   start_new_session=True)
    def facts():
        assert process.poll() is None, (home/"log").read_text()
        for path in Path(short_folder).glob("jpserver-*.json"):
            with suppress(ValueError, OSError):
                found = json.loads(path.read_text())
                if status_of(f"{found['url']}api") == 200: return found
    try:
        found = wait_for(facts)
        yield SimpleNamespace(address=found["url"], token=found["token"], process=process)
    finally:
        with suppress(ProcessLookupError): os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def test_the_lab_answers_nobody_without_its_token_and_listens_on_the_loopback_address_alone(lab):
    contents = f"{lab.address}api/contents"
    assert len(lab.token) >= 32 and status_of(f"{contents}?token={lab.token}") == 200
    assert status_of(contents) == status_of(f"{contents}?token={'0'*len(lab.token)}") == 403
    assert status_of(f"{contents}?token={lab.token}", Host="evil.example") == 403
    ours = psutil.Process(lab.process.pid)
    found = listening(*[process.pid for process in (ours, *ours.children(recursive=True))])
    assert urlsplit(lab.address).port in {each.port for each in found}
    assert {each.ip for each in found} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("network, ports, listens", [
    ("bridge", "127.0.0.1:49153\n", "0.0.0.0"), # inside; Docker lets nobody through but this computer
    ("host", "", "127.0.0.1"),
    ("bridge", "0.0.0.0:49153\n", None), # open to the network: no lab is started
    ("bridge", "", None),
])
def test_the_lab_in_a_container_keeps_its_token_and_is_reached_from_here_alone(network, ports, listens):
    typed = []
    def run(*words):
        typed.append(words)
        said = network if "inspect" in words else ports if "port" in words else ""
        if "list --json" in words[-1] and any("exec jupyter-lab" in each[-1] for each in typed):
            said = '{"port": 8888, "token": "secret"}'
        return SimpleNamespace(stdout=said, returncode=0)
    address = jupyter_address(SimpleNamespace(run=run), "c", "ezuser", "/workspaces/a", seconds=5)
    started = [words[-1] for words in typed if "exec jupyter-lab" in words[-1]]
    if listens is None: assert address == "" and not started
    else:
        assert address.startswith("http://127.0.0.1:") and f"--ip={listens} " in started[0]
        assert "token" not in started[0] and "password" not in started[0] and "allow_origin" not in started[0]


PROGRAMS = [name for name in tracked() if name.endswith(".py") and not name.startswith("tests/")]
RUN_CODE = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def unsafe(source):
    "List what in a program may run the code of a file that it loads."
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [each.name for each in node.names] + [getattr(node, "module", "") or ""]
            found += [name for name in names if name.partition(".")[0] in RUN_CODE or name == "load_learner"]
        if not isinstance(node, ast.Call): continue
        called = ast.unparse(node.func)
        given = {each.arg: ast.unparse(each.value) for each in node.keywords}
        if called == "torch.load" and given.get("weights_only") != "True": found.append(ast.unparse(node))
        if given.get("allow_pickle") == "True" or called in ("load_learner", "pd.read_pickle"):
            found.append(ast.unparse(node))
    return found


GUARDED = {"mark1/data/sets.py": ["pickle"]} # its reader takes plain values alone, see test_downloads.py


def test_what_is_loaded_runs_no_code():
    found = {name: unsafe((ROOT/name).read_text(encoding="utf-8")) for name in PROGRAMS}
    assert len(found) > 80 and {name: calls for name, calls in found.items() if calls} == GUARDED


@pytest.mark.parametrize("source", [
    "import pickle", "from joblib import load", "torch.load(path)", "torch.load(path, weights_only=False)",
    "np.load(path, allow_pickle=True)", "from fastai.learner import load_learner"])
def test_what_could_run_code_is_noticed(source):
    assert unsafe(source)


class Trap:
    "Make a file when it is unpickled."
    def __init__(self, path): self.path = path
    def __reduce__(self): return open, (str(self.path), "w")


def test_weights_that_want_to_run_code_are_refused(tmp_path, monkeypatch):
    torch.save({"weight": Trap(tmp_path/"was_here")}, tmp_path/"weights.pth")
    monkeypatch.setattr(networks, "lite0_weights", lambda: tmp_path/"weights.pth")
    with pytest.raises(Exception, match="(?i)weights.only"): networks.lite0()
    assert not (tmp_path/"was_here").exists()
    torch.load(tmp_path/"weights.pth", weights_only=False) # the control: it would have run
    assert (tmp_path/"was_here").exists()
