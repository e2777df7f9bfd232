"The one door for data: each data set is sound, and a new one is a row and a function."
import io
import tarfile

import pytest
from mark1.data import sets
from mark1.workshop.notebook import data_named, imports, read_chapters
from nbformat.v4 import new_code_cell, new_notebook

from conftest import ROOT

PACKAGED = [name for name, row in sets.MANIFEST.items() if row.form == "packaged"]
CHAPTERS = read_chapters(ROOT)
NEW = """from mark1.data.sets import data_set, fetch, must
@data_set("two traces of mice", "https://example.org/mice.tgz", "CC0",
          lambda folder: must(any(folder.iterdir()), "it should hold traces"), "full",
          bytes=1, checksum="md5-1MiB:0", holds="traces/*.csv", count=2)
def mice():
    "Find the traces of mice, or fetch them."
    return fetch("mice")/"traces"
"""


@pytest.mark.parametrize("name", PACKAGED)
def test_each_packaged_data_set_is_sound(name, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path)) # where drawings go
    sets.check_set(name)


@pytest.mark.parametrize("name", sets.MANIFEST)
def test_each_row_says_what_is_to_be_known(name):
    row = sets.manifest_row(name)
    assert row.what and row.licence and row.citation and callable(row.check) and callable(row.get)
    assert row.form in ("packaged", "full") and row.get.__doc__
    if row.form == "full":
        assert row.source.startswith("https://") and row.holds and row.count
        assert bool(row.bytes) == bool(row.checksum) # neither, where nobody publishes them
    elif row.files:
        assert row.bytes and row.checksum.startswith("sha256:")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_a_chapter_gets_its_data_through_the_door(chapter):
    "What packages of data hold is asked for in `data.sets` alone."
    if chapter.module == "data.sets": return
    packages = {file.partition(":")[0] for row in sets.MANIFEST.values() for file in row.files}
    packages -= {"sklearn", "skimage"} # which hold more than data
    cells = [cell.source for cell in chapter.notebook.cells if cell.cell_type == "code"]
    found = {name for source in cells for name in imports(source)}
    past = [name for name in found if name.partition(".")[0] in packages
            or name.startswith(("sklearn.datasets.load_", "sklearn.datasets.fetch_", "skimage.data"))]
    assert not past
    assert chapter.data_form == ("packaged" if chapter.data else "none")


def archive():
    "Pack two traces as an archive."
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("one", "two"):
            member = tarfile.TarInfo(f"mice/traces/{name}.csv")
            member.size = 4
            tar.addfile(member, io.BytesIO(b"1,2\n"))
    return packed.getvalue()


def test_a_new_data_set_is_one_row_and_one_function(
        toy_repository, tmp_path, serve, monkeypatch, mark1_here):
    "The table of a run, fetching beforehand, the doctor and what is said of errors know it, untouched."
    (tmp_path/"served").mkdir()
    (tmp_path/"served"/"mice.tgz").write_bytes(archive())
    full = {"MARK1_DATA": "full", "MARK1_MIRROR": serve(tmp_path/"served")}
    use = f"#| data: mice\n{NEW}print(len(list(mice().iterdir())), 'traces')"
    home = toy_repository(_00_mice=["#| label: num-traces\n" + use])
    before = dict(sets.MANIFEST)
    monkeypatch.setattr(sets, "USED", set())
    try:
        exec(NEW, {})
        assert data_named(new_notebook(cells=[new_code_cell("#| data: mice")])) == ["mice"]
        with pytest.raises(ValueError, match="did you mean 'mice'"): sets.manifest_row("mise")
        with pytest.warns(UserWarning, match="taken on trust"): result = mark1_here("run", cwd=home, **full)
        assert sets.USED == {"mice"} # fetched beforehand
        assert result.returncode == 0, result.stderr
        assert "2 traces" in result.stdout and "full" in result.stdout, result.stdout
        packaged = mark1_here("run", cwd=home)
        assert "example.org" in mark1_here("doctor", MARK1_DATA="full").stdout
        assert packaged.returncode == 1 and "no answer from https://example.org" in packaged.stderr
    finally:
        sets.MANIFEST.clear()
        sets.MANIFEST.update(before)
