"""What a kernel finds that an editor starts: as `mark1 run` gives it.

So there is no red warning, and the losses are those stored.

About: kernels.
"""
import atexit
import json
import os
import re
import signal
import subprocess
import urllib.request
from contextlib import suppress

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.manager import start_new_kernel
from mark1.workshop.kernels import kernel_environment
from mark1.workshop.notebook import is_skipped, read_notebook
from mark1.workshop.runner import join_streams, notebook_client

from conftest import BIN, PATIENCE, ROOT, wait_for

GIVEN = kernel_environment().items()
OURS = [name for name, value in GIVEN if os.environ.get(name) != value or name.endswith("_NUM_THREADS")]
PROBE = """import os, warnings
print(os.environ["OMP_NUM_THREADS"])
warnings.warn("red", FutureWarning)"""


def as_a_person_has_it(**variables):
    "Give this process's environment without what `mark1 run` would add."
    ours = {*OURS, "PYTHONWARNINGS", "MARK1_DATA", "MARK1_KERNELS"}
    return {**{name: value for name, value in os.environ.items() if name not in ours}, **variables}


def shown(client, source):
    "Run a cell in a kernel; what it prints comes back, name of the stream to text."
    said = {}
    def hook(message):
        if message["msg_type"] == "stream":
            said[message["content"]["name"]] = message["content"]["text"]
    reply = client.execute_interactive(source, output_hook=hook, timeout=PATIENCE)
    assert reply["content"]["status"] == "ok", reply["content"]
    return said


def test_a_kernel_that_anything_starts():
    "VS Code starts kernels without asking `mark1`; what this person's environment says must not stay."
    manager, client = start_new_kernel(env=as_a_person_has_it(OMP_NUM_THREADS="7"))
    try: assert shown(client, PROBE) == {"stdout": "1\n"}
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


class Attached(AsyncKernelManager):
    "Manage a kernel that somebody else has started and will end."
    has_kernel = True

    async def shutdown_kernel(self, *args, **kwargs): pass


@pytest.fixture
def lab(tmp_path):
    "Start `mark1 lab` as a person does, but for the browser; the address of its server comes back."
    options = ["--no-browser", "--allow-root", "--IdentityProvider.token=secret", "--ServerApp.port=0"]
    command = [BIN/"mark1", "lab", "--", *options]
    environment = as_a_person_has_it(JUPYTER_RUNTIME_DIR=str(tmp_path/"runtime"), HOME=str(tmp_path),
                                      FASTAI_HOME=str(tmp_path/"fastai"))
    log = tmp_path/"log"
    with open(log, "w") as file:
        started = {"cwd": ROOT, "env": environment, "start_new_session": True}
        process = subprocess.Popen(command, stdout=file, stderr=file, **started)
    try:
        address = wait_for(lambda: serving(tmp_path/"runtime") or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield address, tmp_path/"runtime"
    finally:
        with suppress(ProcessLookupError): os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def serving(runtime):
    "Give the address of the server that keeps its facts in a folder, once it answers there."
    for facts in runtime.glob("jpserver-*.json"):
        with suppress(OSError, ValueError): # half written, or not listening yet
            address = json.loads(facts.read_text())["url"]
            if urllib.request.urlopen(f"{address}api", timeout=PATIENCE).status == 200:
                return address


def asked(address, method="GET", body=None):
    "Ask the lab's server something; its answer comes back."
    headers = {"Authorization": "token secret"}
    request = urllib.request.Request(address, method=method, headers=headers, data=body)
    return json.load(urllib.request.urlopen(request, timeout=PATIENCE))


def test_chapter_01_in_the_lab(lab):
    """It shows no warning and no error, and the losses that are stored.

    Its stored figures are shown before it runs: the lab trusts the chapters.
    """
    address, runtime = lab
    notebook = asked(f"{address}api/contents/nbs/01_first_model.ipynb")["content"]
    assert all(cell["metadata"]["trusted"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    wanted = {
        "path": "nbs/01_first_model.ipynb",
        "type": "notebook",
        "name": "",
        "kernel": {"name": "python3"},
    }
    kernel = asked(f"{address}api/sessions", "POST", json.dumps(wanted).encode())["kernel"]["id"]
    stored = read_notebook(ROOT/"nbs"/"01_first_model.ipynb")
    fresh = nbformat.from_dict(json.loads(json.dumps(stored)))
    for cell in fresh.cells:
        if cell.cell_type == "code": cell.outputs = []
        if cell.cell_type == "code" and is_skipped(cell.source):
            cell.metadata["tags"] = ["skip-execution"]
    manager = Attached(connection_file=str(runtime/f"kernel-{kernel}.json"), owns_kernel=False)
    manager.load_connection_file()
    client = notebook_client(fresh, ROOT/"nbs")
    client.km = manager
    try: client.execute()
    finally: atexit.unregister(client._cleanup_kernel)
    both = [pair for pair in zip(fresh.cells, stored.cells) if pair[0].cell_type == "code"]
    pairs = [(join_streams(cell.outputs), old.outputs) for cell, old in both]
    found = [out for outputs, _ in pairs for out in outputs]
    assert not [out for out in found if out.output_type == "error" or out.get("name") == "stderr"]
    losses = [(losses_in(outputs), losses_in(old)) for outputs, old in pairs if losses_in(old)]
    print(losses)
    assert losses
    for found, kept in losses:
        assert found == pytest.approx(kept, abs=.1) # another processor rounds differently


def losses_in(outputs):
    "Read training and validation loss of each epoch in the tables that a training shows."
    tables = "".join(str(out.get("data", {}).get("text/html", "")) for out in outputs)
    rows = re.findall(r"<tr><td>\d+</td><td>(\d+\.\d+)</td><td>(\d+\.\d+)</td>", tables)
    return [float(loss) for row in rows for loss in row]
