"""Downloads: cut, damaged, malicious, without disk, home or peace.

Each fault ends in one sentence, and the next run mends it.
"""
import ast
import gzip
import hashlib
import io
import os
import pickle
import pty
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import warnings
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from unittest.mock import patch
from urllib.request import urlopen

import pytest
from fastdownload.core import _locked
from mark1.data import downloads, sets
from mark1.data.downloads import data_home
from mark1.data.sets import cats_and_dogs, drawings, fetch, manifest_row, text_weights
from mark1.workshop.runner import main
from PIL import Image

from conftest import BIN, PATIENCE, typed, wait_for

NAME = "oxford-iiit-pet.tgz"
PART = "oxford-iiit-pet.partial/oxford-iiit-pet.tgz"
PETS_ROW = manifest_row("pets")
FETCH = [sys.executable, "-c", "from mark1.data.sets import fetch; print(fetch('pets'))"]
CATS = [sys.executable, "-c", "from mark1.data.sets import cats_and_dogs; cats_and_dogs()"]


def jpeg():
    memory = io.BytesIO()
    Image.effect_noise((128, 128), 50).convert("RGB").save(memory, "jpeg", quality=95)
    return memory.getvalue()


def member(name, content=b"", size=None, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.size = len(content) if size is None else size
    info.type = kind
    info.linkname = link
    return info, io.BytesIO(content)


def serves(server, content):
    "Have a mirror serve an archive, and list its checksum."
    server.content = content
    server.listed = hashlib.sha256(content).hexdigest()


def packed(*members):
    "Make a gzipped tar of what `member` makes."
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as tar:
        for info, content in members: tar.addfile(info, content)
    return memory.getvalue()


def archive_of(folder, **pictures):
    "Write an archive of the given pictures, name to bytes, in the layout of the full data."
    folder.mkdir(exist_ok=True)
    members = [member(f"oxford-iiit-pet/images/{name}.jpg", content) for name, content in pictures.items()]
    (folder/NAME).write_bytes(packed(member("oxford-iiit-pet/images", kind=tarfile.DIRTYPE), *members))
    return folder


PETS = packed(*(member(f"oxford-iiit-pet/images/{breed}_{number}.jpg", jpeg())
                for breed in ("Abyssinian", "beagle") for number in range(12)))


class Handler(BaseHTTPRequestHandler):
    """Serve `server.content`, its rest where the request and `server.ranges` say so.

    It breaks off after `server.cut` bytes.
    """
    def do_GET(self):
        server = self.server
        if self.path.endswith(".sha256"):
            return self.answer(200, server.listed.encode()) if server.listed else self.answer(404)
        server.asked.append(self.headers["Range"])
        server.gate.wait(PATIENCE) # open, unless a test wants the request to wait
        if server.code: return self.answer(server.code)
        resumed = server.ranges and self.headers["Range"] and self.headers["If-Range"] == server.tag
        start = int(self.headers["Range"][6:-1]) if resumed else 0
        if resumed and start >= len(server.content): return self.answer(416)
        most = None if server.cut is None else max(0, server.cut - start)
        self.answer(206 if resumed else 200, server.content[start:], most)

    def answer(self, code, content=b"", most=None):
        self.send_response(code)
        if self.server.says_length:
            self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", self.server.tag)
        self.end_headers()
        self.wfile.write(content[:most])
        self.server.hold.wait(PATIENCE) # set, unless a test wants the line to stay open

    def log_message(self, *args): pass


@pytest.fixture
def server():
    "Start a mirror on the loopback address whose behaviour a test sets."
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content = PETS
        server.tag = '"1"'
        server.cut = None
        server.code = None
        server.ranges = True
        server.asked = []
        server.says_length = True
        server.listed = hashlib.sha256(PETS).hexdigest()
        server.hold = Event()
        server.gate = Event()
        for event in (server.gate, server.hold): event.set()
        server.address = f"http://127.0.0.1:{server.server_port}/"
        Thread(target=server.serve_forever, args=(.02,), daemon=True).start()
        yield server
        server.hold.set()
        server.shutdown()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    "Have an empty cache for this process; its data folder comes back."
    for name in ("MARK1_MIRROR", "MARK1_DATA"): monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path/"cache"))
    return tmp_path/"cache"/"data"


@pytest.fixture
def full(cache, server, monkeypatch):
    "Ask for the full data, from `server`, without pauses between attempts."
    monkeypatch.setenv("MARK1_DATA", "full")
    monkeypatch.setenv("MARK1_MIRROR", server.address)
    monkeypatch.setattr("mark1.data.downloads.time.sleep", lambda seconds: None)
    return cache


@pytest.fixture
def chapter(toy_repository):
    return toy_repository(_00_cats=[
        "#| data: drawings pets\nfrom mark1.data.sets import cats_and_dogs",
        "path = cats_and_dogs()\nprint(len(list(path.iterdir())))",
    ])


@pytest.fixture
def run_here(chapter, monkeypatch, capsys):
    """Say what `mark1 run` says on a chapter that wants cats and dogs.

    It is done in this process, as the faults come before any kernel.
    """
    def run():
        monkeypatch.chdir(chapter)
        monkeypatch.setenv("PATH", os.environ["PATH"])
        capsys.readouterr()
        code = main(["run"])
        shown = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=shown.out, stderr=shown.err)
    return run


def files(folder):
    if not folder.exists(): return []
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def mends(cache):
    "Check that the next fetch gets all of the data, and that nothing else is left in the cache."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = cats_and_dogs()
    assert len(list(folder.iterdir())) == 24
    mirror = folder.parent.parent.name
    assert [path.name for path in cache.iterdir()] == [mirror] and mirror.startswith("mirror-")


# Downloads that break off

@pytest.mark.parametrize("ranges", [True, False], ids=["resumed", "restarted"])
@pytest.mark.parametrize("tenth", range(10))
def test_a_download_cut_at_every_tenth(full, server, run_here, outcome, tenth, ranges):
    server.cut = tenth*len(PETS)//10
    server.ranges = ranges
    outcome("a download cut at a tenth of it", run_here())
    assert len(server.asked) == 3
    assert files(full) == [PART, f"{PART}.tag"] and (full/PART).stat().st_size == server.cut
    server.cut = None
    mends(full)
    assert server.asked[3:] == [f"bytes={tenth*len(PETS)//10 - 1}-" if tenth else None]


def test_a_break_within_a_run_is_taken_up_again(full, server):
    server.cut = len(PETS)//2
    # all is well again
    heal = lambda attempt: setattr(server, "cut", None) if attempt else None
    with patch("mark1.data.downloads.time.sleep", heal): mends(full)
    assert server.asked == [None, f"bytes={len(PETS)//2 - 1}-"]


def test_a_line_that_goes_silent(full, server, run_here, outcome, monkeypatch):
    asked_for = []
    def impatient(request, timeout):
        "Wait as long as it takes for an answer, and then a fifth of a second for each part of it."
        answer = urlopen(request, timeout=PATIENCE)
        answer.fp.raw._sock.settimeout(.2)
        asked_for.append(timeout)
        return answer
    server.cut = len(PETS)//2
    server.hold.clear()
    with monkeypatch.context() as patched:
        patched.setattr(downloads, "urlopen", impatient)
        outcome("a connection that goes silent", run_here())
    assert asked_for == [30]*3 # what the library would have waited for
    server.hold.set()
    server.cut = None
    mends(full)


def cut_short(full, server):
    "Leave half a download in the cache; its file comes back."
    server.cut = len(PETS)//2
    with pytest.raises(ConnectionError): fetch("pets")
    server.cut = None
    return full/PART


def test_an_archive_that_changed_meanwhile_is_fetched_whole(full, server):
    cut_short(full, server)
    server.tag = '"2"'
    server.asked = []
    mends(full)
    assert server.asked == [f"bytes={len(PETS)//2 - 1}-"] # asked for the rest, got the whole


@pytest.mark.parametrize("harm", [
    lambda part: part.write_bytes(bytes(part.stat().st_size)), # as a crash may leave it
    lambda part: part.write_bytes(PETS + b"more than there is")], ids=["zeros", "too long"])
def test_a_part_that_was_harmed_is_thrown_away(full, server, run_here, outcome, harm):
    harm(cut_short(full, server))
    outcome("a kept part of a download that was damaged", run_here())
    assert files(full) == []
    mends(full)


@pytest.mark.parametrize("content", [b"", b"\xff\n\0", b'"another"'])
def test_a_part_whose_tag_was_harmed_is_fetched_whole(full, server, content):
    (cut_short(full, server).with_name(f"{NAME}.tag")).write_bytes(content)
    mends(full)


def test_a_run_that_was_killed_is_taken_up_again(full, server):
    "Killed in the middle of a download, with the rest of an earlier unpacking beside it."
    server.cut = len(PETS)//2
    server.hold.clear()
    process = subprocess.Popen(FETCH, stderr=subprocess.PIPE, text=True)
    try:
        def half_there():
            assert process.poll() is None
            return (full/PART).exists() and (full/PART).stat().st_size >= 2**17
        wait_for(half_there)
    finally:
        process.kill()
        process.communicate()
    (full/PART).with_name("unpacked").mkdir()
    server.hold.set()
    server.cut = None
    server.asked = []
    mends(full)
    assert re.fullmatch(r"bytes=\d{6,}-", server.asked[0]) and len(server.asked) == 1


def test_a_run_that_was_interrupted(full, server, run_here, outcome, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(downloads, "look_through", lambda archive: (_ for _ in ()).throw(KeyboardInterrupt))
        outcome("Ctrl-C", run_here())
    assert files(full) == [PART, f"{PART}.tag"]
    mends(full)
    assert server.asked[1:] == [f"bytes={len(PETS) - 1}-"] # the archive was there: one byte was asked for


# Servers

def test_no_network(full, run_here, outcome, monkeypatch):
    monkeypatch.delenv("MARK1_MIRROR")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr("urllib.request._opener", None) # which remembers the proxies of the first request
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9") # where nobody listens
    said = outcome("no network", run_here())
    assert "Connection refused" in said # by the proxy: nothing has left this machine
    assert files(full) == []


@pytest.mark.parametrize("code", [404, 500])
def test_a_mirror_that_answers_an_error(full, server, run_here, outcome, code):
    server.code = code
    said = outcome("a mirror that answers with an error", run_here())
    assert f"{NAME} answered {code}" in said and files(full) == []
    server.code = None
    mends(full)


def test_a_mirror_that_is_not_there(full, run_here, outcome, monkeypatch):
    monkeypatch.setenv("MARK1_MIRROR", "http://127.0.0.1:9/")
    outcome("a mirror that cannot be reached", run_here())
    assert files(full) == []


@pytest.mark.parametrize("mirror", ["classroom", "ftp://classroom/", "http://", "http://Schüler:8000/"])
def test_a_mirror_that_is_no_address(full, run_here, outcome, monkeypatch, mirror):
    monkeypatch.setenv("MARK1_MIRROR", mirror)
    assert f"MARK1_MIRROR is '{mirror}'" in outcome("a mirror that is no address", run_here())


def test_a_mirrored_archive_is_kept_apart_from_the_original(full, server):
    with pytest.warns(UserWarning, match="taken on trust"):
        server.listed = ""
        fetch("pets")
    mends(full)
    server.code = 500 # the second time, nothing is asked of the network
    server.asked = []
    mends(full)
    assert server.asked == []


# Archives that are not what they should be

def cut(content): return content[:-200]


def with_a_bit_turned(content):
    return content[:500] + bytes([content[500] ^ 1]) + content[501:]


@pytest.mark.parametrize("damage", [
    pytest.param(cut, id="cut"),
    pytest.param(with_a_bit_turned, id="bit"),
    pytest.param(lambda content: b"", id="empty"),
    pytest.param(lambda content: b"<html>Log in first</html>", id="html"),
])
def test_a_damaged_archive(full, server, run_here, outcome, damage):
    server.content = damage(PETS)
    server.listed = ""
    with pytest.warns(UserWarning, match="taken on trust"): result = run_here()
    outcome("a damaged archive", result)
    assert files(full) == []
    server.content = PETS
    mends(full)


def test_a_cut_that_the_server_does_not_give_away(full, server, run_here, outcome):
    "Without a length, an answer that ends early looks whole; gzip's own end is missing all the same."
    server.says_length = False
    server.listed = ""
    server.cut = len(PETS)//2
    with pytest.warns(UserWarning, match="taken on trust"): result = run_here()
    outcome("a download cut, its length not announced", result)
    assert files(full) == []
    server.cut = None
    mends(full)


@pytest.mark.parametrize("listed", ["0"*64 + f"  {NAME}\n", f"SHA256 ({NAME}) = {'0'*64}\n"])
def test_a_wrong_checksum(full, server, run_here, outcome, listed):
    right = server.listed
    server.listed = listed
    outcome("a wrong checksum", run_here())
    assert files(full) == []
    server.listed = right
    mends(full)


@pytest.mark.parametrize("listed", ["<html>", "\n", f"SHA512 ({NAME}) = {'0'*128}\n"])
def test_a_checksum_that_cannot_be_understood(full, server, listed):
    "The download is kept."
    server.listed = listed
    with pytest.warns(UserWarning, match="cannot be understood, so it is taken on trust"): cats_and_dogs()
    mends(full)


def test_a_mirror_with_a_password(full, server, monkeypatch, capfd):
    "It is sent to the mirror, and shown nowhere."
    address = server.address.replace("//", "//ada:p%40ss@")
    monkeypatch.setenv("MARK1_MIRROR", address)
    server.code = 503
    with pytest.raises(ConnectionError, match="//…@127.0.0.1") as error: fetch("pets")
    server.code = None
    mends(full)
    shown = (str(error.value), *capfd.readouterr())
    assert not [text for text in shown if "p%40ss" in text or "p@ss" in text]


@pytest.mark.parametrize("change", [
    pytest.param(lambda content: b"x" + content[1:], id="checksum"),
    pytest.param(lambda content: content + b"x", id="size"),
])
@pytest.mark.parametrize("kind", ["md5-1MiB", "sha256"])
def test_an_original_that_is_not_the_one_listed(full, server, run_here, outcome, monkeypatch, change, kind):
    monkeypatch.delenv("MARK1_MIRROR")
    def list_as_original(content):
        start = hashlib.md5(content[:2**20]) if kind == "md5-1MiB" else hashlib.sha256(content)
        row = replace(PETS_ROW, source=server.address + NAME, bytes=len(content), count=24,
                      checksum=f"{kind}:{start.hexdigest()}")
        monkeypatch.setattr(sets, "manifest_row", lambda name: row)
    list_as_original(change(PETS))
    outcome("an original of another size or checksum", run_here())
    assert files(full) == []
    list_as_original(PETS)
    assert cats_and_dogs() == full/"oxford-iiit-pet"/"images"
    assert [path.name for path in full.iterdir()] == ["oxford-iiit-pet"]


def test_the_manifest_lists_what_fastai_lists():
    "Read without importing fastai, and torch with it."
    source = Path(find_spec("fastai").origin).parent/"data"/"download_checks.py"
    listed = ast.literal_eval(source.read_text())
    rows = [row for row in sets.MANIFEST.values() if row.source in listed]
    assert {"pets", "imdb_sample", "adult_sample"} <= {row.name for row in rows}
    for row in rows: assert (row.bytes, row.checksum.removeprefix("md5-1MiB:")) == listed[row.source]


OUT = "a member that leads out of its folder"
LINK = "a member that is a link or a device"
NO_NAME = "a member that cannot be written"
EVIL = {
    "name with ../": (OUT, [member("oxford-iiit-pet/../../evil.jpg", b"evil")]),
    "absolute name": (OUT, [member("/tmp/evil.jpg", b"evil")]),
    "drive name": (OUT, [member("C:\\evil.jpg", b"evil")]),
    "backslashes": (OUT, [member("oxford-iiit-pet\\..\\..\\evil.jpg", b"evil")]),
    "symbolic link": (LINK, [
        member("oxford-iiit-pet/evil", kind=tarfile.SYMTYPE, link="../.."),
        member("oxford-iiit-pet/evil/evil.jpg", b"evil"),
    ]),
    "hard link": (LINK, [member("oxford-iiit-pet/evil", kind=tarfile.LNKTYPE, link="../../evil.jpg")]),
    "device": (LINK, [member("oxford-iiit-pet/evil", kind=tarfile.CHRTYPE)]),
    "named pipe": (LINK, [member("oxford-iiit-pet/evil", kind=tarfile.FIFOTYPE)]),
    "file that is a folder too": (NO_NAME, [
        member("oxford-iiit-pet/evil/evil.jpg", b"evil"),
        member("oxford-iiit-pet/evil", b"evil"),
    ]),
    "folder that is a file too": (NO_NAME, [member("oxford-iiit-pet/images/beagle_1.jpg/evil.jpg", b"evil")]),
    "name that is too long": (NO_NAME, [member("oxford-iiit-pet/" + "evil"*100, b"evil")]),
}


@pytest.mark.parametrize("fault, members", EVIL.values(), ids=EVIL)
def test_a_malicious_member(full, server, run_here, outcome, tmp_path, fault, members):
    serves(server, packed(member("oxford-iiit-pet/images/beagle_1.jpg", jpeg()), *members))
    before = files(tmp_path)
    named = re.search(r"its member '(.*)' ", outcome(fault, run_here()))
    assert named[1].replace("\\\\", "\\") in {info.name for info, _ in members}
    assert set(files(tmp_path)) - set(before) == {f"cache/archive/{NAME}.lock"}
    server.content = PETS
    server.listed = ""
    mends(full)


def header_of(info, length):
    "Make a tar header of one member, `length` zeros behind it."
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(length), 1)


def bombs():
    "Make small archives that swell: members of 10 TB and of 64 MB, zeros behind the end, an endless name."
    huge = member("oxford-iiit-pet/images/x.jpg", size=10**13)[0]
    yield "announces more than it holds", header_of(huge, 2**20)
    yield "one file of zeros", header_of(member("oxford-iiit-pet/images/x.jpg", size=2**26)[0], 2**26)
    yield "zeros behind its end", gzip.compress(bytes(2**26), 1)
    endless = member("././@LongLink", size=2**30, kind=tarfile.GNUTYPE_LONGNAME)[0] # a gigabyte
    yield "a name without end", header_of(endless, 2**20)
    negative = member("oxford-iiit-pet/images/x.jpg", size=-1024)[0]
    yield "a negative size", header_of(negative, 2**12)


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in bombs()])
def test_an_archive_that_swells(full, server, run_here, outcome, monkeypatch, content):
    serves(server, content)
    unpacked = []
    def counted(self, size=-1, read=gzip.GzipFile.read):
        unpacked.append(len(block := read(self, size)))
        return block
    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    outcome("an archive that swells", run_here())
    assert files(full) == [] and 0 < sum(unpacked) <= downloads.SWELL*len(content) + 2**24
    server.content = PETS
    server.listed = ""
    mends(full)


@pytest.mark.parametrize("content", [
    pytest.param(packed(member("oxford-iiit-pet/images", kind=tarfile.DIRTYPE)), id="empty"),
    pytest.param(packed(member("cats/beagle_1.jpg", jpeg())), id="other layout"),
])
def test_an_archive_without_pictures(full, server, run_here, outcome, content):
    serves(server, content)
    outcome("an archive without pictures", run_here())
    assert files(full) == []


@pytest.mark.parametrize("content, reason", [
    pytest.param(b"not a picture", "cannot identify", id="none"),
    pytest.param(jpeg()[:-400], "truncated", id="truncated"),
])
def test_a_broken_picture_among_the_photographs(full, server, run_here, outcome, tmp_path, content, reason):
    archive_of(tmp_path/"served", Abyssinian_1=jpeg(), beagle_1=content)
    server.content = (tmp_path/"served"/NAME).read_bytes()
    server.listed = ""
    with pytest.warns(UserWarning):
        said = outcome("a broken picture among the photographs", run_here())
    assert reason in said


# Zip archives: the same rules

ZIPPED = "oxford-iiit-pet.zip"


def zipped(pictures, method=zipfile.ZIP_DEFLATED, **others):
    "Make a zip archive of pictures, name to bytes, and of other members: name to content and Unix mode."
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        for name, content in pictures.items(): archive.writestr(f"oxford-iiit-pet/images/{name}", content)
        for name, (content, mode) in others.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content, method)
    return memory.getvalue()


ZIPPED_PETS = zipped({f"{breed}_{number}.jpg": jpeg()
                      for breed in ("Abyssinian", "beagle") for number in range(12)})


@pytest.fixture
def zip_server(full, server, monkeypatch):
    "Have the data set served as a zip archive."
    monkeypatch.setattr(sets, "manifest_row", lambda name: replace(PETS_ROW, archive=ZIPPED))
    serves(server, ZIPPED_PETS)
    return server


def heals(full, server):
    "Check that nothing is left in the cache, and that the next fetch gets all of the data."
    assert files(full) == []
    serves(server, ZIPPED_PETS)
    mends(full)


def test_a_zip_archive_goes_on_where_it_broke_off(full, zip_server):
    zip_server.cut = len(ZIPPED_PETS)//2
    with pytest.raises(ConnectionError, match="broke off 3 times"): fetch("pets")
    zip_server.cut = None
    zip_server.asked = []
    mends(full)
    assert zip_server.asked == [f"bytes={len(ZIPPED_PETS)//2 - 1}-"]


ZIP_EVIL = {
    "name with ../": (OUT, {"oxford-iiit-pet/../../evil.jpg": (b"evil", 0)}),
    "absolute name": (OUT, {"/tmp/evil.jpg": (b"evil", 0)}),
    "drive name": (OUT, {"C:\\evil.jpg": (b"evil", 0)}),
    "symbolic link": (LINK, {"oxford-iiit-pet/evil": (b"../..", stat.S_IFLNK | 0o777)}),
    "device": (LINK, {"oxford-iiit-pet/evil": (b"", stat.S_IFCHR)}),
    "folder that is a file too": (NO_NAME, {"oxford-iiit-pet/images/beagle_1.jpg/evil.jpg": (b"evil", 0)}),
    "name that is too long": (NO_NAME, {"oxford-iiit-pet/" + "evil"*100: (b"evil", 0)}),
}


@pytest.mark.parametrize("fault, members", ZIP_EVIL.values(), ids=ZIP_EVIL)
def test_a_malicious_member_of_a_zip_archive(full, zip_server, run_here, outcome, fault, members):
    zip_server.content = zipped({"beagle_1.jpg": jpeg()}, **members)
    zip_server.listed = ""
    with pytest.warns(UserWarning, match="taken on trust"): result = run_here()
    named = re.search(r"its member '(.*)' ", outcome(fault, result))
    assert named[1].replace("\\\\", "\\") in members
    heals(full, zip_server)


def encrypted(content):
    "Set the bit that says so, in the directory at the end."
    at = content.index(b"PK\x01\x02") + 8
    return content[:at] + bytes([content[at] | 1]) + content[at + 1:]


@pytest.mark.parametrize("content", [
    pytest.param(zipped({"beagle_1.jpg": jpeg()}, zipfile.ZIP_LZMA), id="lzma"),
    pytest.param(encrypted(zipped({"beagle_1.jpg": jpeg()})), id="encrypted"),
])
def test_a_member_that_is_not_read(full, zip_server, run_here, outcome, content):
    serves(zip_server, content)
    outcome("a member of a zip archive that is not read", run_here())
    heals(full, zip_server)


def overlapping(count):
    "Make a zip archive in which many names share the same 16 MB of packed zeros."
    content = zipped({"x.jpg": bytes(2**24)})
    first = content.index(b"PK\x01\x02")
    directory, end = content[first:-22], content[-22:]
    sizes = (len(directory)*count).to_bytes(4, "little")
    return content[:first] + directory*count + end[:8] + count.to_bytes(2, "little")*2 + sizes + end[16:]


@pytest.mark.parametrize("content", [
    pytest.param(zipped({"x.jpg": bytes(2**26)}), id="zeros"),
    pytest.param(overlapping(50), id="overlapping"),
])
def test_a_zip_archive_that_swells(full, zip_server, run_here, outcome, content):
    serves(zip_server, content)
    outcome("an archive that swells", run_here())
    heals(full, zip_server)


def small_sizes(content):
    "Let a zip archive say that its members are smaller than they are."
    return content.replace((2**26).to_bytes(4, "little"), (2**10).to_bytes(4, "little"))


@pytest.mark.parametrize("damage", [
    pytest.param(cut, id="cut"),
    pytest.param(with_a_bit_turned, id="bit"),
    pytest.param(lambda content: b"", id="empty"),
    pytest.param(lambda content: b"<html>Log in first</html>", id="html"),
    pytest.param(lambda content: PETS, id="tar"),
    pytest.param(lambda content: small_sizes(zipped({"x.jpg": bytes(2**26)})), id="sizes that lie"),
])
def test_a_damaged_zip_archive(full, zip_server, run_here, outcome, damage):
    zip_server.content = damage(ZIPPED_PETS)
    zip_server.listed = ""
    with pytest.warns(UserWarning, match="taken on trust"): result = run_here()
    outcome("a damaged archive", result)
    heals(full, zip_server)


def test_a_wrong_checksum_of_a_zip_archive(full, zip_server, run_here, outcome):
    zip_server.listed = "0"*64
    outcome("a wrong checksum", run_here())
    heals(full, zip_server)


# Weights for texts: two pickles, of which nothing is run

class Harmful:
    "Becomes a pickle that makes a folder when it is loaded."
    def __init__(self, folder): self.folder = str(folder)
    def __reduce__(self): return os.mkdir, (self.folder,)


def weights_of(words, **tensors):
    "Pack weights and their words in the layout of fastai's archive."
    import torch
    memory = io.BytesIO()
    torch.save({"0.encoder.weight": torch.ones(2, 3), **tensors}, memory)
    return packed(member("wt103-fwd/lstm_fwd.pth", memory.getvalue()),
                  member("wt103-fwd/itos_wt103.pkl", pickle.dumps(words)))


@pytest.fixture
def fetch_weights(full, server, toy_repository, mark1_here):
    "Have weights served, and say what `mark1 run` says on a chapter that wants them."
    home = toy_repository(_00_words=["#| data: text_weights\nfrom mark1.data.sets import text_weights"])
    def run(content, listed=""):
        server.content = content
        server.listed = listed or hashlib.sha256(content).hexdigest()
        return mark1_here("run", cwd=home, MARK1_DATA="full", MARK1_MIRROR=server.address)
    return run


@pytest.mark.parametrize("where", ["words", "tensors"])
def test_weights_that_would_run_code(fetch_weights, server, full, outcome, tmp_path, where):
    harm = Harmful(tmp_path/"harm")
    content = weights_of(["a", harm]) if where == "words" else weights_of(["a", "b"], extra=harm)
    said = outcome("weights that would run code", fetch_weights(content))
    assert "posix.mkdir" in said and not (tmp_path/"harm").exists()
    pickle.loads(pickle.dumps(harm)) # the control
    assert (tmp_path/"harm").is_dir()
    shutil.rmtree(re.search(r"delete (\S+),", said)[1]) # as the sentence says
    server.content = weights_of(["a", "b"])
    server.listed = ""
    with pytest.warns(UserWarning, match="taken on trust"): weights, words = text_weights()
    assert words == ["a", "b"] and weights["0.encoder.weight"].shape == (2, 3)


def test_weights_cut_short_or_changed(fetch_weights, full, outcome):
    content = weights_of(["a", "b"])
    outcome("a damaged archive", fetch_weights(content[:-20]))
    outcome("a wrong checksum", fetch_weights(content, "0"*64))
    assert files(full) == []


@pytest.mark.parametrize("words", [("a", "b"), [b"a", "b"], [["a"], "b"], {"a": 1}, None])
def test_words_that_are_none(fetch_weights, outcome, words):
    said = outcome("weights that cannot be read", fetch_weights(weights_of(words)))
    assert "itos_wt103.pkl is not read: it is no list of words" in said


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps([1]), pickle.dumps({"a": 2.})],
                         ids=["empty", "text", "list", "number"])
def test_weights_that_are_none(fetch_weights, outcome, content):
    "What PyTorch advises then, to load it all the same, is not passed on."
    packed_words = member("wt103-fwd/itos_wt103.pkl", pickle.dumps(["a"]))
    archive = packed(member("wt103-fwd/lstm_fwd.pth", content), packed_words)
    assert "weights_only" not in outcome("weights that cannot be read", fetch_weights(archive))


# What fastai left there

def fill(folder, count):
    folder.mkdir(parents=True)
    for number in range(count): (folder/f"beagle_{number}.jpg").touch()


def test_a_folder_that_fastai_left_half_filled(full, server, run_here, outcome):
    fill(full/"oxford-iiit-pet"/"images", 40)
    assert str(full/"oxford-iiit-pet") in outcome("a folder that untar_data left half-filled", run_here())
    assert len(files(full)) == 40 and server.asked == [] # nothing of it is touched
    shutil.rmtree(full/"oxford-iiit-pet")
    mends(full)


def test_a_folder_that_fastai_filled_is_used(full, server, monkeypatch):
    monkeypatch.setattr(sets, "manifest_row", lambda name: replace(PETS_ROW, count=100))
    fill(full/"oxford-iiit-pet"/"images", 99) # one deleted, because it could not be read
    assert fetch("pets") == full/"oxford-iiit-pet" and server.asked == []


# Disks and homes

def inside(script, *words, cwd):
    "Run a shell script in a mount namespace of its own, where it may mount."
    alone = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    mount = [*alone, "mount -t tmpfs tmpfs /mnt"]
    if shutil.which("unshare") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted, for want of Linux, unshare (util-linux) or permission")
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return typed([*alone, script, "sh", *words], cwd=cwd, env=environment)


ON_A_FULL_DISK = """
mount -t tmpfs -o size=$1 tmpfs "$FASTAI_HOME" || exit 99
python run.py; code=$?
ls -R "$FASTAI_HOME"
mount -o remount,size=64m "$FASTAI_HOME"
python -c "from mark1.data.sets import fetch; fetch('pets')" && ls -d "$FASTAI_HOME"/data/* || exit 98
exit $code
"""


@pytest.mark.parametrize("fault, size, free", [
    ("a disk too small for a download", "256k", None),
    ("a disk full while downloading", "256k", 2**40),
    ("a disk full while unpacking", "600k", 2**40),
])
def test_a_full_disk(full, chapter, outcome, fault, size, free):
    "The disk says that it is too small, or promises a terabyte until it is full."
    usage = f"types.SimpleNamespace(free={free})"
    lie = f"import shutil, types; shutil.disk_usage = lambda folder: {usage}\n" if free else ""
    run = "import sys\nfrom mark1.workshop.runner import main\nsys.exit(main(['run']))"
    (chapter/"run.py").write_text(lie + run)
    full.parent.mkdir()
    result = inside(ON_A_FULL_DISK, size, cwd=chapter)
    outcome(fault, result)
    assert ".jpg" not in result.stdout # nothing that could pass for the data
    # with more room, the next run got them
    assert re.fullmatch(r".*/mirror-\w{8}", result.stdout.splitlines()[-1])


READ_ONLY = """
mount --bind "$FASTAI_HOME" "$FASTAI_HOME" && mount -o remount,ro,bind "$FASTAI_HOME" || exit 99
"$@"
"""


def test_a_cache_that_may_only_be_read(full, chapter, outcome):
    full.mkdir(parents=True)
    said = outcome("a cache that may only be read", inside(READ_ONLY, "mark1", "run", cwd=chapter))
    assert str(full) in said and files(full.parent) == []
    mends(full) # where it may be written again
    # a cache that holds the data need not be written to
    assert inside(READ_ONLY, *FETCH, cwd=chapter).returncode == 0


def test_drawings_in_a_cache_that_may_only_be_read(cache, tmp_path):
    cache.mkdir(parents=True)
    draw = [sys.executable, "-c", "from mark1.data.sets import drawings; drawings(2, 16)"]
    result = inside(READ_ONLY, *draw, cwd=tmp_path)
    assert result.returncode == 1
    assert f"OSError: cannot write to {cache} (Read-only file system)" in result.stderr


def test_no_home(full, run_here, outcome, tmp_path, monkeypatch):
    "A user whom the machine does not know has no home when HOME is not set."
    for name in ("HOME", "FASTAI_HOME"): monkeypatch.delenv(name)
    with monkeypatch.context() as patched:
        patched.setattr("pwd.getpwuid", lambda uid: {}[uid])
        outcome("no HOME to keep data in", run_here())
    known = SimpleNamespace(pw_dir=str(tmp_path/"cache"))
    monkeypatch.setattr("pwd.getpwuid", lambda uid: known) # one whom it knows
    assert data_home() == tmp_path/"cache"/".fastai"/"data"
    mends(data_home())


@pytest.mark.parametrize("home", ["/proc/nobody", "/dev/null"])
def test_a_home_that_cannot_be_written_to(full, run_here, outcome, tmp_path, monkeypatch, home):
    monkeypatch.delenv("FASTAI_HOME")
    monkeypatch.setenv("HOME", home)
    assert f"{home}/.fastai/data" in outcome("a HOME where no data can be kept", run_here())
    with pytest.raises(OSError, match="set FASTAI_HOME to a folder that you can write to"):
        drawings(2, 16)
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path/"cache"))
    mends(full)


def test_a_path_with_spaces_and_letters_of_many_kinds(full, outcome, tmp_path):
    home = tmp_path/"Käthes Daten 数据 'é' $HOME"
    environment = {**os.environ, "FASTAI_HOME": str(home), "LC_ALL": "C"}
    result = subprocess.run(CATS, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    outcome("a path with spaces and non-ASCII letters", result)
    assert len(files(home/"data")) == 25 # 24 pictures and the note that they were checked


# Two at once, progress, cost

def test_two_runs_at_once(full, server, outcome, tmp_path):
    server.gate.clear()
    with open(tmp_path/"said", "w") as said:
        runs = [subprocess.Popen(FETCH, stdout=subprocess.PIPE, stderr=said, text=True) for _ in range(2)]
    try: wait_for(lambda: "waiting" in (tmp_path/"said").read_text())
    finally: server.gate.set()
    one, other = (run.communicate(timeout=PATIENCE)[0] for run in runs)
    assert one == other and len(server.asked) == 1 # fetched once
    said = (tmp_path/"said").read_text().splitlines()
    lines = [line for line in said if not line.startswith(NAME)] # without progress
    outcome("two downloads at once", max(run.returncode for run in runs), "\n".join(lines))
    mends(full)
    assert len(server.asked) == 1


def test_fastais_own_lock_is_respected(full, server):
    with _locked(full.parent/"archive"/f"{NAME}.lock"): # what untar_data holds
        run = subprocess.Popen(FETCH, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "another process is fetching" in run.stderr.readline() and server.asked == []
    assert run.communicate(timeout=PATIENCE) and run.returncode == 0
    mends(full)


def test_progress_is_shown_as_lines(full, server, run_here, capsys):
    server.cut = len(PETS)//2
    lines = [line for line in run_here().stderr.splitlines() if line.startswith(f"{NAME}: ")]
    assert 1 <= len(lines) <= 10 and lines == sorted(lines)
    assert re.fullmatch(rf"{NAME}: 0\.\d of 0\.\d MB", lines[0])
    server.cut = None
    fetch("pets", progress=False)
    assert NAME not in capsys.readouterr().err


def test_progress_is_shown_as_a_bar_on_a_terminal(full):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(FETCH, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try: block = os.read(ours, 2**16)
        except OSError: break # Linux's way to say that the other end has closed
        if not block: break
        shown += block
    os.close(ours)
    assert process.wait(timeout=PATIENCE) == 0 and "━" in shown.decode() and b"100%" in shown, shown


def test_a_fetch_needs_no_torch(full):
    code = """import sys
from mark1.data.sets import fetch
fetch('pets')
sys.exit(bool({'torch', 'fastai'} & sys.modules.keys()))"""
    assert subprocess.run([sys.executable, "-c", code], timeout=PATIENCE).returncode == 0
    assert not (full.parent/"config.ini").exists() # nor does it write into fastai's settings
