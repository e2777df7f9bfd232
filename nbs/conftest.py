"""`pytest --nbval nbs`: nbval collects, sanitises and compares; the runner executes, as for `mark1 run`.

nbval's own executor drops `update_display_data` and `clear_output`, so it sees the first state of a progress
bar where the notebook stores the last, and it runs one notebook at a time. Here the chapters are executed
side by side from the moment they are collected, and three of nbval's methods wait for them and compare.
"""
import base64
import io
import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import nbval.plugin
import numpy as np
import pytest
from mark1.workshop.notebook import FIGURE, Chapter, is_skipped, read_notebook, repository, setting
from mark1.workshop.runner import (
    end_kernels,
    execute_chapter,
    heaviest_first,
    jobs_at_a_time,
    join_streams,
    warm_up,
)
from nbval.plugin import IPyNbCell, IPyNbFile
from PIL import Image

POOL = ThreadPoolExecutor(jobs_at_a_time() + 1) # some chapters wait now and then
RUNNING = set()


def pytest_configure(config):
    config.option.nbval_sanitize_with = str(repository(config.rootpath)/"tests"/"sanitize.cfg")
    IPyNbFile.setup = IPyNbFile.setup_sanitize_files
    IPyNbFile.teardown = lambda file: None
    IPyNbCell.runtest = run_cell
    nbval.plugin.nbformat = SimpleNamespace(read=lambda path, as_version: read_notebook(path))


def pytest_collection_finish(session):
    cells = [item for item in session.items if isinstance(item, IPyNbCell)]
    files = {cell.parent.path: cell.parent for cell in cells} # each once
    library = repository(session.config.rootpath)/setting("lib_path")
    chapters = [Chapter(path, file.nb, library) for path, file in files.items()]
    warm_up(chapters)
    limit = session.config.option.nbval_cell_timeout
    for chapter in heaviest_first(chapters):
        execution = POOL.submit(execute_chapter, chapter, cell_limit=limit, running=RUNNING)
        files[chapter.path].execution = execution


def pytest_sessionfinish(session):
    POOL.shutdown(wait=False, cancel_futures=True)
    end_kernels(RUNNING)


def run_cell(self):
    if self.options["skip"] or is_skipped(self.cell.source):
        pytest.skip("marked not to be run")
    result = self.parent.execution.result()
    index = next(place for place, cell in enumerate(self.parent.nb.cells) if cell is self.cell)
    if result.error and index == result.stopped: self.raise_cell_error(result.error)
    if result.error and index > result.stopped:
        pytest.fail(f"not run: {result.error}", pytrace=False)
    self.test_outputs = result.notebook.cells[index].outputs
    of_times = "# NBVAL_IGNORE_FIGURE" in self.cell.source # which are others each time
    if not of_times and (why := figures_differ(self.cell.outputs, self.test_outputs)):
        self.raise_cell_error("Cell figures differ", f"{why}; if it is meant so, run `mark1 refresh`")
    if not self.options["check"]: return
    skipped = (*self.parent.skip_compare, FIGURE) # they have been compared
    if not self.compare_outputs(self.test_outputs, join_streams(self.cell.outputs), skipped):
        self.raise_cell_error("Cell outputs differ", "\n".join(self.comparison_traceback))


DIFFERENCE = .3 # of two figures: a line that moved a little stays below it, any other figure is above it


def coarse(svg):
    "Shrink the picture in a figure to 12 × 18 shades of grey, less their mean; None where there is none."
    content = re.search("data:image/[a-z]+;base64,([^\"]*)", svg)
    if not content: return None
    picture = Image.open(io.BytesIO(base64.b64decode(content[1]))).convert("L")
    shades = np.asarray(picture.resize((18, 12), Image.Resampling.BOX), float)
    return shades - shades.mean()


def far(one, other):
    "Compute how unlike two tables of `coarse` are: 0 for the same, about 1 where they share nothing."
    return np.linalg.norm(one - other)/max(np.linalg.norm(one), np.linalg.norm(other), 1e-9)


def difference(stored, fresh):
    "Compute how unlike two figures are, whatever their sizes."
    if stored == fresh: return 0
    shades = coarse(stored), coarse(fresh)
    return 1 if any(each is None for each in shades) else far(*shades)


def figures_differ(stored, fresh):
    "Say how the figures among a cell's outputs differ from those stored; '' where they look alike."
    figures = [["".join(out.data[FIGURE]) for out in outputs if FIGURE in out.get("data", {})]
               for outputs in (stored, fresh)]
    if not figures[0]: return ""
    if len(figures[0]) != len(figures[1]):
        return f"{len(figures[0])} figures are stored, and the cell draws {len(figures[1])}"
    most = max(map(difference, *figures))
    return f"a stored figure is another than the cell draws ({most:.2f} of 1)" if most > DIFFERENCE else ""
