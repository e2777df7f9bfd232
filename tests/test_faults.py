"""What happens when a run is cut short, starved or disturbed.

Each fault is made to happen; it is said what it was, and the next run mends it.

About: runner, kernels.
Takes long: begins first.
"""
import asyncio
import ctypes
import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from mark1.workshop.notebook import labelled
from mark1.workshop.runner import notebook_client
from nbformat.v4 import new_notebook

from conftest import BIN, PATIENCE, interruptible, typed, wait_for

NUMBER = "#| label: num-sum\nprint(sum(range(10)))"
ENDLESS = "import time; time.sleep(3600)" # a command that waits for this cell is waited for in vain
STARTED = [] # commands, as `start` began them


def start(home, *words, command=(BIN/"mark1",), **variables):
    "Start the console command, as `mark1` does, and return at once; Ctrl-C ends it."
    environment = {**os.environ, "FASTAI_HOME": str(home/"cache"), **variables}
    process = subprocess.Popen([*command, *words], cwd=home, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, preexec_fn=interruptible)
    STARTED.append(process)
    return process


@pytest.fixture(autouse=True)
def nothing_runs_on():
    "Kill what a test started and, because it failed, did not see the end of."
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill() # does nothing to one that has ended
        process.communicate()


def end(process, timeout=PATIENCE):
    "Wait for a started command; a result like that of `subprocess.run` comes back."
    out, err = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def alive(pid):
    "Say whether a process runs; one that has ended and not been waited for does not."
    try: return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError: return False


def runs_again(mark1_here, home):
    "Check that a run in `home` ends well, and that nothing half-written is left."
    result = mark1_here("run", cwd=home)
    assert result.returncode == 0, result.stderr
    for path in (home/"_run").iterdir():
        assert path.suffix == ".ipynb", f"{path} was left behind"
        nbformat.validate(nbformat.read(path, 4))
    assert labelled(nbformat.read(home/"_run"/"00_sum.ipynb", 4)) == {"num-sum": "45"}


def replace_source(home, name, source, cell=1):
    "Put other code into a cell of a toy chapter."
    path = home/"nbs"/f"{name}.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[cell].source = source
    nbformat.write(notebook, path)


# toys import nothing heavy, for which `mark1 run` would not fork; here they are forked from a small server
FORKED = """if __name__ == "__main__":
    import sys
    from mark1.workshop.kernels import fork_kernels
    from mark1.workshop.runner import main
    assert fork_kernels(())
    sys.exit(main(sys.argv[1:]))"""
COMMANDS = {"plain": [BIN/"mark1"], "forked": [sys.executable, "-c", FORKED]}


TROUBLES = {
    "a cell that raises": "raise ValueError('no such thing; take another')",
    "a killed kernel": "import os; os.kill(os.getpid(), 9)",
    "out of memory": "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
                     "x = bytearray(2**31)",
    "out of memory, in torch": "import torch\ntorch.empty(2**50)",
}


@pytest.mark.parametrize("fault", TROUBLES)
@pytest.mark.parametrize("kernels", COMMANDS)
def test_a_chapter_in_trouble(mark1_here, toy_repository, outcome, fault, kernels):
    home = toy_repository(_00_sum=[NUMBER], _01_trouble=["1", TROUBLES[fault], "print('never reached')"])
    result = end(start(home, "run", command=COMMANDS[kernels]))
    outcome(fault, result)
    assert "sum: 45" in result.stdout # the other chapter's result is not lost
    (home/"nbs"/"01_trouble.ipynb").unlink()
    runs_again(mark1_here, home)


DEAF = f"import signal; signal.signal(2, signal.SIG_IGN)\nwhile True: {ENDLESS}"
HANGS = {"a cell that hangs": ENDLESS, "a cell that hangs and ignores interrupts": DEAF}


def test_a_chapter_that_hangs(mark1_here, toy_repository, outcome):
    "All four at once, as each takes its whole limit; the limit is one that the sound cells never come near."
    home = toy_repository(_00_sum=[NUMBER], _01_trouble=["1", "", "print('never reached')"])
    runs = {}
    for number, (fault, kernels) in enumerate((fault, kernels) for fault in HANGS for kernels in COMMANDS):
        place = shutil.copytree(home, home/f"copy-{number}", ignore=shutil.ignore_patterns("copy-*"))
        replace_source(place, "01_trouble", HANGS[fault], 2)
        runs[fault, place] = start(place, "run", "--cell-limit", "20", command=COMMANDS[kernels])
    for (fault, place), run in runs.items():
        result = end(run)
        outcome(fault, result)
        assert "sum: 45" in result.stdout
        (place/"nbs"/"01_trouble.ipynb").unlink()
        runs_again(mark1_here, place)


def test_nobody_is_told_of_a_channel_that_closed_with_its_kernel(caplog, tmp_path):
    "What nbclient forgets to ask for shows up as a traceback when it is cleared away, now and then."
    async def forgets():
        async def fails(): raise AssertionError
        asyncio.ensure_future(fails())
        await asyncio.sleep(.01)
        gc.collect()
    logging.getLogger("asyncio").setLevel(logging.NOTSET)
    asyncio.run(forgets())
    assert "never retrieved" in caplog.text # the control
    caplog.clear()
    notebook_client(new_notebook(), tmp_path)
    asyncio.run(forgets())
    assert not caplog.text


@pytest.mark.parametrize("kernels", COMMANDS)
def test_a_run_that_is_killed_leaves_no_kernel(mark1_here, toy_repository, short_folder, kernels):
    tells = "import os; open('pid', 'w').write(str(os.getpid()))"
    home = toy_repository(_00_sum=[f"{tells}\n{DEAF}"])
    process = start(home, "run", command=COMMANDS[kernels], TMPDIR=short_folder) # its files it must leave
    pid = int(wait_for(lambda: (home/"nbs"/"pid").exists() and (home/"nbs"/"pid").read_text()))
    process.kill() # as the system does where memory runs out
    wait_for(lambda: not alive(pid))
    end(process) # nobody holds its output any more
    replace_source(home, "00_sum", NUMBER)
    runs_again(mark1_here, home)


def test_ctrl_c(mark1_here, toy_repository, outcome, tmp_path):
    tells = f"import os; open({str(tmp_path/'pid')!r}, 'w').write(str(os.getpid()))"
    home = toy_repository(_00_sum=[f"{tells}\n{ENDLESS}"], _01_more=[ENDLESS], _02_last=["1"])
    process = start(home, "run", "--jobs", "2")
    pid = int(wait_for(lambda: (tmp_path/"pid").exists() and (tmp_path/"pid").read_text()))
    process.send_signal(signal.SIGINT)
    outcome("Ctrl-C", end(process)) # it does end, so no chapter was waited for
    wait_for(lambda: not alive(pid))
    assert not list((home/"_run").iterdir()) # no chapter had ended
    replace_source(home, "00_sum", NUMBER)
    replace_source(home, "01_more", "1")
    runs_again(mark1_here, home)


@pytest.mark.skipif(sys.platform != "linux", reason="signals are sent to one thread, which only Linux can do")
def test_an_interrupt_that_reaches_another_thread(toy_repository):
    """The system may give Ctrl-C to any thread.

    The first, which has to act on it, must not sleep on until a chapter ends.
    """
    home = toy_repository(_00_sum=[f"open('started', 'w').close()\n{ENDLESS}"])
    process = start(home, "run")
    wait_for((home/"nbs"/"started").exists)
    other = max(map(int, os.listdir(f"/proc/{process.pid}/task")))
    assert other != process.pid # control: it is not the first thread that is told
    signal_thread(process.pid, other, signal.SIGINT)
    assert end(process).returncode == 130


def signal_thread(pid, thread, number):
    "Send a signal to one thread of another process, for which Python has no word."
    call = {"x86_64": 234, "aarch64": 131}[os.uname().machine] # tgkill
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.syscall(call, pid, thread, number) == 0, os.strerror(ctypes.get_errno())


# a runner whose first notebook is half written when it is killed
KILLED = """import os, sys
from pathlib import Path
from mark1.workshop import runner
def half(notebook, path):
    text = runner.nbformat.writes(notebook)
    Path(path).write_text(text[:len(text)//2])
    os.kill(os.getpid(), 9)
runner.nbformat = type("Half", (), {**vars(runner.nbformat), "write": staticmethod(half)})
runner.main(sys.argv[1:])"""


def test_a_runner_killed_in_mid_write(mark1, mark1_here, toy_repository, outcome, tmp_path):
    home = toy_repository(_00_sum=[NUMBER])
    (tmp_path/"tmp").mkdir() # a killed program cannot clear up
    killed = end(start(home, "run", command=[sys.executable, "-c", KILLED], TMPDIR=str(tmp_path/"tmp")))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    half, = home.glob("_run/.mark1-*/00_sum.ipynb")
    assert half.read_text()[:1] == "{" and not (home/"_run"/"00_sum.ipynb").exists() # beside, never in place
    os.utime(half.parent, (0, 0)) # what is older than an hour belongs to nobody
    outcome("a runner killed in mid-write, the run after it", mark1("run", cwd=home))
    runs_again(mark1_here, home)


def alone(*commands):
    "Make a shell command run in a mount namespace of its own; the test skips where there is none to be had."
    unshare = ["unshare", "--mount", "--map-root-user", "sh", "-ec"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespace can be made, for want of Linux, unshare (util-linux) or permission")
    return [*unshare, "; ".join(commands)]


@pytest.mark.parametrize("fault, mount", [
    ("a full disk", "mount -t tmpfs -o size=64k tmpfs _run"),
    ("a project that cannot be written to", "mount -t tmpfs -o size=1m,ro tmpfs _run")])
def test_nowhere_to_write(mark1_here, toy_repository, outcome, fault, mount):
    home = toy_repository(_00_sum=[NUMBER, "print(('x'*99 + chr(10))*2_000)"])
    (home/"_run").mkdir()
    command = alone(mount, f"'{BIN}/mark1' run")
    environment = {**os.environ, "FASTAI_HOME": str(home/"cache")}
    outcome(fault, typed(command, cwd=home, env=environment))
    runs_again(mark1_here, home)


@pytest.mark.parametrize("fault, variables", [
    ("no HOME", {"HOME": None}),
    ("a HOME that is not there and cannot be made", {"HOME": "/proc/nowhere"})])
def test_without_a_home(toy_repository, outcome, tmp_path, fault, variables):
    home = toy_repository(_00_sum=[NUMBER, "import matplotlib.pyplot as plt; plt.plot([1]); plt.show()"])
    others = ("XDG_", "JUPYTER", "IPYTHON", "MPLCONFIGDIR", "FASTAI_HOME")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    environment |= {"TMPDIR": str(tmp_path/"tmp"), **variables} # IPython takes a folder there, and leaves it
    environment = {name: value for name, value in environment.items() if value is not None}
    (tmp_path/"tmp").mkdir()
    result = typed([BIN/"mark1", "run"], cwd=home, env=environment)
    outcome(fault, result)
    assert "sum: 45" in result.stdout


def test_spaces_and_letters_beyond_ascii(mark1, mark1_here, toy_repository, outcome, tmp_path):
    home = tmp_path/"Prénom's größter Kurs, 第一"
    shutil.copytree(toy_repository(_00_sum=[NUMBER]), home, ignore=shutil.ignore_patterns("Prénom*", "cache"))
    result = mark1("run", cwd=home, FASTAI_HOME=str(home/"mes données"))
    outcome("a path with spaces and non-ASCII letters", result)
    runs_again(mark1_here, home)


def test_two_runs_at_once(mark1_here, toy_repository, outcome):
    home = toy_repository(_00_sum=[NUMBER], _01_more=["print(('x'*99 + chr(10))*1_000)"])
    runs = [start(home, "run"), start(home, "run")]
    results = [end(process) for process in runs]
    for result in results: outcome("two runs at once", result)
    runs_again(mark1_here, home)


WAITS = """import time
from pathlib import Path
Path("started").touch()
while not Path("go").exists(): time.sleep(.1)"""


def test_two_refreshes_at_once(mark1, toy_repository, outcome, tmp_path):
    home = toy_repository(_00_sum=[WAITS, NUMBER])
    nbformat.write(nbformat.read(home/"nbs"/"00_sum.ipynb", 4), home/"nbs"/"index.ipynb")
    first = start(home, "refresh", "00")
    wait_for((home/"nbs"/"started").exists)
    outcome("two refreshes at once, the second", mark1("refresh", "00", cwd=home))
    assert first.poll() is None # control: the first was still at work
    (home/"nbs"/"go").touch()
    assert end(first).returncode == 0
    assert labelled(nbformat.read(home/"nbs"/"00_sum.ipynb", 4)) == {"num-sum": "45"}
