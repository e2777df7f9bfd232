"""Programs that start kernels at the same time.

None takes what another has chosen to listen at, however few ports there are.

About: runner, kernels.
"""
import os
import shutil
import subprocess
import sys

import pytest
from mark1.workshop.runner import notebook_client
from nbformat.v4 import new_notebook
from steady import busy_loops

PROGRAM = """if __name__ == "__main__":
    import sys
    from mark1.workshop import runner
    from mark1.workshop.kernels import fork_kernels
    from traitlets.config import Config
    if sys.argv.pop(1) == "forked": assert fork_kernels(("ipykernel.kernelapp",))
    if sys.argv.pop(1) == "ports": # by itself
        runner.kernel_config = lambda: Config(NotebookClient={"startup_timeout": 20})
    sys.exit(runner.main(sys.argv[1:]))"""
# ports that the system may give away; 32 kernels at a time use 32 for their output pipes, and five more each
PORTS = 200


def alone(*words):
    "Make a command run in a network namespace with few ports; the test skips where there is none to be had."
    unshare = ["unshare", "--net", "--map-root-user", "sh", "-ec"]
    low = 40000
    span = f"{low} {low + PORTS}"
    few = f"ip link set lo up; echo {span} > /proc/sys/net/ipv4/ip_local_port_range; exec \"$@\""
    tried = [*unshare, few, "sh", "true"]
    if shutil.which("unshare") is None or subprocess.run(tried, capture_output=True).returncode:
        pytest.skip("no network namespace can be made, for want of Linux, unshare (util-linux) or permission")
    return [*unshare, few, "sh", *map(str, words)]


def all_at_once(home, programs, listen):
    """Run all chapters in several programs at the same time, in one namespace.

    What each says that stopped comes back, '' for none.
    """
    # a cell whose messages go to another kernel's port is never done
    limit = "--cell-limit 20" if listen == "ports" else ""
    lines = []
    for turn in range(programs):
        kind = "forked" if turn % 4 else "plain"
        file = f"{home}/said-{turn}"
        lines.append(f'"$0" -c "$1" {kind} {listen} run --jobs 4 {limit} 2> {file} &')
    script = "\n".join([*lines, "wait"])
    environment = {**os.environ, "MARK1_KERNELS": "forked"}
    command = alone("sh", "-c", script, sys.executable, PROGRAM)
    subprocess.run(command, cwd=home, env=environment, stdout=subprocess.DEVNULL, check=True)
    said = [(home/f"said-{turn}").read_text() for turn in range(programs)]
    assert all("cell  1 of  1" in text for text in said), said
    return [line for text in said for line in text.splitlines() if line.startswith("mark1: ")]


@pytest.fixture
def busy(request):
    "Run as many loops that do nothing but use a core as the test asks for."
    with busy_loops(request.param): yield request.param


@pytest.mark.parametrize("rounds, busy", [
    (1, 0),
    pytest.param(40, 0, marks=pytest.mark.slow),
    pytest.param(40, 2, marks=pytest.mark.slow),
], indirect=["busy"])
def test_programs_that_start_kernels_at_once(toy_repository, rounds, busy):
    chapters = range(8 if rounds > 1 else 4)
    home = toy_repository(**{f"_{number:02}_line": ["print('here')"] for number in chapters})
    said = [all_at_once(home, 4 if rounds > 1 else 3, "names") for _ in range(rounds)]
    print(f"{sum(map(bool, said))} of {rounds} rounds in which a chapter stopped")
    assert said == [[]]*rounds


@pytest.mark.slow
def test_ports_are_what_they_get_in_each_others_way_with(toy_repository):
    "The control: as Jupyter does by itself, some of forty rounds fail, so that the rounds above could."
    home = toy_repository(**{f"_{number:02}_line": ["print('here')"] for number in range(8)})
    failed = next((turn for turn in range(1, 41) if all_at_once(home, 4, "ports")), None)
    print(f"a chapter stopped in round {failed}")
    assert failed


@pytest.mark.skipif(sys.platform != "linux", reason="there are no sockets with names; test it on Linux")
def test_the_runner_uses_names(tmp_path):
    "Of its kernels no two share one."
    settings = [notebook_client(new_notebook(), tmp_path).config.KernelManager for _ in range(2)]
    assert [each.transport for each in settings] == ["ipc"]*2 and len({each.ip for each in settings}) == 2
