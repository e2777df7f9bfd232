"""`pytest --nbval nbs`: nbval collects, sanitises and compares; nbclient executes, as it does for `mark1 run`.

nbval's own executor drops `update_display_data` and `clear_output`, so it sees the first state of a progress bar where
the notebook stores the last. Three of its methods are replaced here.
"""
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbval.plugin import IPyNbCell, IPyNbFile, coalesce_streams

from mark1.lesson import directives, kernel_environment, notebook_client, repository, setting, why_stopped


def setup_file(self):
    self.setup_sanitize_files()
    self.running = nbformat.from_dict(self.nb)  # executed beside the stored one, which keeps its outputs
    self.client = notebook_client(self.running, self.path.parent, cell_limit=self.config.option.nbval_cell_timeout)
    self.client.reset_execution_trackers()
    self.kernel_context = self.client.setup_kernel(env=kernel_environment())
    self.kernel_context.__enter__()
    self.stopped = None


def teardown_file(self):
    self.kernel_context.__exit__(None, None, None)


def skipped(source):
    marks = directives(source)
    flags = set(setting("tst_flags").split())
    return marks.get("eval", "").lower() == "false" or flags & marks.keys() or "nbdev_export(" in source


def run_cell(self):
    if self.options["skip"] or skipped(self.cell.source): pytest.skip("marked not to be run")
    file = self.parent
    if file.stopped: pytest.fail(f"not run: {file.stopped}", pytrace=False)
    index = next(i for i, cell in enumerate(file.running.cells) if cell.id == self.cell.id)
    executed = file.running.cells[index]
    executed.outputs = []
    try: file.client.execute_cell(executed, index)
    except CellExecutionError as error: self.raise_cell_error(why_stopped(error), error.traceback)
    except (CellTimeoutError, DeadKernelError) as error:
        file.stopped = f"{file.path.name}, cell {self.cell_num}: {why_stopped(error)}"
        self.raise_cell_error(why_stopped(error))
    self.test_outputs = coalesce_streams(executed.outputs)
    if self.options["check"] and not self.compare_outputs(self.test_outputs, coalesce_streams(self.cell.outputs)):
        self.raise_cell_error("Cell outputs differ", "\n".join(self.comparison_traceback))


def pytest_configure(config):
    config.option.nbval_sanitize_with = str(repository(config.rootpath) / "tests" / "sanitize.cfg")
    IPyNbFile.setup, IPyNbFile.teardown, IPyNbCell.runtest = setup_file, teardown_file, run_cell
