"""What `mark1` and the two test runners say when a chapter is sound, stale, wrong or stuck.

About: runner.
Takes long: begins first.
"""
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from mark1.workshop.notebook import labelled

from conftest import BIN, ROOT, typed


def sentence(result, code):
    "Give the one line that a failed command leaves on standard error."
    assert result.returncode == code, result.stdout + result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("mark1: ")]
    assert len(lines) == 1 and "Traceback" not in result.stderr, result.stderr
    return lines[0]


def test_help_lists_the_commands(mark1):
    result = mark1("--help")
    told = ("run", "test", "learn", "lab", "refresh", "MARK1_DATA")
    assert result.returncode == 0 and all(command in result.stdout for command in told)


def test_make_alone_lists_the_commands():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = ("run", "test", "learn", "lab", "refresh", "test-slow")
    assert all(f"make {target} " in shown for target in targets)


def test_run_shows_chapters_numbers_and_data(mark1, toy_repository):
    home = toy_repository(_00_sums=["#| label: num-sum\nprint(sum(range(10)))"], _01_plain=["1 + 1"])
    before = {path: path.read_bytes() for path in (home/"nbs").glob("*.ipynb")}
    result = mark1("run", cwd=home)
    assert result.returncode == 0, result.stderr
    assert "sum: 45" in result.stdout and "Data: packaged" in result.stdout
    # a plain line, as standard error is no terminal
    assert "00_sums            cell  1 of  1" in result.stderr
    assert {path: path.read_bytes() for path in (home/"nbs").glob("*.ipynb")} == before
    assert labelled(nbformat.read(home/"_run"/"00_sums.ipynb", 4)) == {"num-sum": "45"}


def test_only_what_has_changed_is_run(mark1_here, toy_repository):
    home = toy_repository(
        _00_low=["#| default_exp low", "#| export\nx = 1"],
        _01_high=["from mark1.low import x"],
        _02_alone=["print(1)"],
    )
    nbformat.write(nbformat.read(home/"nbs"/"02_alone.ipynb", 4), home/"nbs"/"index.ipynb")
    assert mark1_here("refresh", cwd=home, PYTHONPATH=str(home)).returncode == 0
    run = lambda: mark1_here("run", "--changed", cwd=home, PYTHONPATH=str(home)).stdout
    assert "nothing has changed since the outputs were stored" in run()
    module = home/"mark1"/"low.py"
    module.write_text(module.read_text() + "\ny = 2\n")
    shown = run()
    assert "00_low" in shown and "01_high" in shown and "02_alone" not in shown


def test_the_slowest_cells_are_shown(mark1_here, toy_repository):
    home = toy_repository(_00_naps=["import time; time.sleep(.3)", "time.sleep(1)"], _01_quick=["1 + 1"])
    shown = mark1_here("run", "--timing", cwd=home).stdout
    rows = re.findall(r"│ +([\d.]+) +│ (\w+) +│ (\d+) ", shown[shown.index("The slowest cells"):])
    seconds = {(chapter, cell): float(seconds) for seconds, chapter, cell in rows}
    assert seconds.keys() == {("00_naps", "1"), ("00_naps", "2"), ("01_quick", "1")}, shown
    assert list(seconds.values()) == sorted(seconds.values(), reverse=True)
    assert seconds["00_naps", "1"] >= .3 and seconds["00_naps", "2"] >= 1


def test_forked_and_plain_kernels_show_the_same(mark1, toy_repository):
    "Two chapters that import torch, so that the runner forks; one of them trains."
    training = """torch.manual_seed(0)
layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8*30*30, 2)]
model = torch.nn.Sequential(*layers)
optimiser = torch.optim.SGD(model.parameters(), .1)
for _ in range(5):
    loss = torch.nn.functional.cross_entropy(model(torch.randn(16, 3, 32, 32)), torch.randint(2, (16,)))
    optimiser.zero_grad(); loss.backward(); optimiser.step()
print(loss.item().hex())"""
    first = "import sys\nprint('torch' in sys.modules)"
    home = toy_repository(
        _00_trains=[first, "import torch", training],
        _01_plots=[
            "import torch",
            "import matplotlib.pyplot as plt",
            "plt.plot(torch.arange(3)); plt.show()",
            "import os; print(os.environ['OMP_NUM_THREADS'], torch.get_num_threads())",
        ],
    )
    def outputs(kernels):
        assert mark1("run", cwd=home, MARK1_KERNELS=kernels).returncode == 0
        chapters = [nbformat.read(home/"_run"/name, 4) for name in ("00_trains.ipynb", "01_plots.ipynb")]
        cells = [cell for chapter in chapters for cell in chapter.cells]
        first, *rest = [cell.outputs for cell in cells if cell.cell_type == "code"]
        return first[0]["text"], [[(out.get("text"), out.get("data")) for out in outs] for outs in rest]
    (in_plain, plain), (in_forked, forked) = outputs("plain"), outputs("forked")
    assert plain == forked and sum(map(bool, plain)) == 3
    # it was a fork
    assert (in_plain, in_forked) == ("False\n", "True\n" if sys.platform == "linux" else "False\n")


def test_a_chapter_that_raises(mark1_here, toy_repository):
    home = toy_repository(_00_bad=["1", "raise ValueError('no such thing; take another')"], _01_good=["2"])
    result = mark1_here("run", cwd=home)
    assert sentence(result, 1) == "mark1: 00_bad, cell 2 of 2: ValueError: no such thing; take another"
    # whole files, nothing half-written
    assert {path.name for path in (home/"_run").iterdir()} == {"00_bad.ipynb", "01_good.ipynb"}
    for path in (home/"_run").iterdir(): nbformat.validate(nbformat.read(path, 4))


@pytest.mark.parametrize("words, variables, text", [
    (["run"], {"MARK1_DATA": "ful"}, "MARK1_DATA is 'ful'; set it to 'packaged'"),
    (["run"], {"MARK1_KERNELS": "quick"}, "MARK1_KERNELS is 'quick'; set it to 'forked'"),
    (["run", "99"], {}, "there is no chapter '99'"),
    (["run", "01_frist_model"], {}, "did you mean '01_first_model'?")])
def test_bad_input_gets_one_sentence(mark1_here, words, variables, text):
    assert text in sentence(mark1_here(*words, **variables), 2)


def test_outside_the_repository(mark1, tmp_path):
    "In a process, so that the exit code is seen which the shell is given."
    assert "is not inside the Mark 1 repository" in sentence(mark1("run", cwd=tmp_path), 2)


def test_refresh_writes_only_what_differs(mark1, mark1_here, toy_repository):
    home = toy_repository(_00_clock=["import time; print(object())", "print(6*7)"])
    nbformat.write(nbformat.read(home/"nbs"/"00_clock.ipynb", 4), home/"nbs"/"index.ipynb")
    first = mark1("refresh", cwd=home)
    stored = home/"nbs"/"00_clock.ipynb"
    assert first.returncode == 0 and "00_clock: 2 cells changed" in first.stdout, first.stdout + first.stderr
    content = stored.read_bytes()
    second = mark1_here("refresh", cwd=home)
    assert "00_clock: 0 cells changed" in second.stdout and stored.read_bytes() == content


def test_refresh_stores_a_result_of_code_that_has_changed(mark1_here, toy_repository):
    "Losses differ between machines, so they are not compared while the code is the same."
    source = "#{}\nfrom IPython.display import HTML\nimport time\nHTML(f'<td>{{time.time():.4f}}</td>')"
    home = toy_repository(_00_loss=[source.format(1)])
    path = home/"nbs"/"00_loss.ipynb"
    nbformat.write(nbformat.read(path, 4), home/"nbs"/"index.ipynb")
    def refreshed():
        assert mark1_here("refresh", "00", cwd=home).returncode == 0
        return nbformat.read(path, 4).cells[1].outputs[0].data["text/html"]
    first = refreshed()
    assert refreshed() == first
    path.write_text(path.read_text().replace("#1", "#2"))
    assert refreshed() != first


def nbval(home, *words):
    "Give what nbval says of each cell of the toy chapters, and all that it prints."
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    plugins = ("cacheprovider", "randomly", "hypothesispytest", "anyio") # of no use here
    words = (*(f"-pno:{name}" for name in plugins), "-v", "--color=no", *words)
    result = typed([BIN/"pytest", "--nbval", "nbs", *words], cwd=home, env=environment)
    said = re.findall(r"^nbs/(\w+)::ipynb::Cell \d+ (PASSED|FAILED|SKIPPED)", result.stdout, re.MULTILINE)
    by_chapter = {name: [word for chapter, word in said if chapter == name] for name, _ in said}
    return result.returncode, by_chapter, result.stdout


def test_nbval_compares_stored_outputs(mark1_here, toy_repository):
    cells = ["print(6*7)", "#| eval: false\n1/0"]
    home = toy_repository(_00_fresh=cells, _01_stale=cells, _02_never_run=cells)
    nbformat.write(nbformat.read(home/"nbs"/"00_fresh.ipynb", 4), home/"nbs"/"index.ipynb")
    assert mark1_here("refresh", "00", "01", cwd=home).returncode == 0
    (home/"nbs"/"index.ipynb").unlink()
    (home/"nbs"/"01_stale.ipynb").write_text((home/"nbs"/"01_stale.ipynb").read_text().replace("42", "43"))
    code, said, shown = nbval(home)
    skipped = ["SKIPPED"] # the one marked, and the cell for Colab, which stands below the first screen
    assert said["00_fresh"] == ["PASSED", *skipped*2] and said["01_stale"] == ["FAILED", *skipped*2], shown
    assert said["02_never_run"][0] == "FAILED" and set(said["02_never_run"][1:]) == {"SKIPPED"} and code == 1
    assert shown.count("Cell outputs differ") >= 2 # one of them has 43, the other none
    for name in ("01_stale", "02_never_run"): (home/"nbs"/f"{name}.ipynb").unlink()
    assert nbval(home)[0] == 0


def test_nbval_reports_what_hangs_or_dies(toy_repository):
    "The limit is one that a cell which dies never comes near."
    home = toy_repository(_00_hangs=["import time; time.sleep(3600)", "1"],
                          _01_dies=["import os; os.kill(os.getpid(), 9)", "1"])
    code, said, shown = nbval(home, "--nbval-cell-timeout", "20")
    assert code == 1 and said == {"00_hangs": ["FAILED"]*2, "01_dies": ["FAILED"]*2}, shown
    assert "took longer than its time limit" in shown and "its kernel died" in shown
    assert shown.count("not run: ") >= 2


def test_nbdev_test_notices_a_chapter_that_raises(toy_repository):
    home = toy_repository(_00_good=["1"], _01_bad=["assert 1 == 2"])
    result = typed([BIN/"nbdev_test"], cwd=home)
    assert result.returncode == 1 and "01_bad.ipynb" in result.stderr


def test_a_run_asks_nothing_of_the_network(copied_repository):
    "In a network namespace that has nothing but its own loopback device."
    alone = ["unshare", "--net", "--map-root-user", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("no network namespace can be made, for want of Linux, unshare (util-linux) or permission")
    devices = subprocess.run([*alone, "ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert len(devices.splitlines()) == 1 # its loopback device and no way out
    environment = {**os.environ, "FASTAI_HOME": str(copied_repository/"cache")} # an empty one
    result = typed([*alone, BIN/"mark1", "run", "networks"], cwd=copied_repository, env=environment)
    said = " ".join(result.stdout.replace("│", " ").split())
    assert result.returncode == 0 and "Egyptian cat" in said, result.stderr
