"""Rules that hold for any input, searched for one that breaks them; each has an oracle of its own.

`make test` tries a few dozen inputs of each, always the same; `make test-slow` tries two thousand others.
"""
import hashlib
import io
import json
import math
import os
import re
import string
import sys
from collections import Counter
from pathlib import Path, PurePosixPath
from tarfile import TarInfo
from urllib.parse import quote
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given, settings, strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from mark1.data.downloads import UNUSABLE, listed_sums, unpack, why_refused
from mark1.data.files import checksum, did_you_mean, hide_password, staged
from mark1.data.pictures import as_rgb
from mark1.exercises import agree, in_per_cent, shown
from mark1.first_model import dumb_error, error_interval
from mark1.mouse import windows
from mark1.owner import split_sessions
from mark1.recommendation import as_ratings, split_ratings
from mark1.time_index import DateSplitter
from mark1.validation import expected_best_error
from mark1.workshop.containers import Ez, makes_user, read_ez
from mark1.workshop.environment import folder_name, git_address, git_branch
from mark1.workshop.notebook import directives, last_state
from PIL import Image
from scipy.stats import binom

from conftest import BIN, ROOT, typed

sys.path.append(str(ROOT/"blog")) # last, for its names are common ones
from front import as_date, read_front
from markup import spans

MANY = os.environ.get("MARK1_EXAMPLES") # set by the last test
settings.register_profile("mark1", deadline=None, database=None, derandomize=not MANY,
                          max_examples=int(MANY or 40))
settings.load_profile("mark1")
set_hypothesis_home_dir(os.devnull) # nothing is kept, least of all in the repository


NAMES = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=12).filter(
    lambda name: name.strip(".-") == name and not name.endswith(".git"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3))
ANSWERS = JSON | st.binary(max_size=4) | st.complex_numbers() | st.sets(st.integers(), max_size=3)


# --- intervals, errors, splitters

@given(st.integers(1, 400).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_an_interval_leaves_out_a_fortieth_at_each_end(counts):
    wrong, of = counts
    low, high = error_interval(wrong, of)
    assert low <= wrong/of <= high
    if wrong: assert math.isclose(binom.sf(wrong - 1, of, low), .025, rel_tol=1e-3)
    if wrong < of: assert math.isclose(binom.cdf(wrong, of, high), .025, rel_tol=1e-3)
    mirrored = error_interval(of - wrong, of)
    assert np.allclose((1 - high, 1 - low), mirrored)


@given(st.lists(st.sampled_from("abc") | st.integers(0, 2), min_size=1, max_size=30))
def test_the_dumb_classifier_says_the_commonest_label(labels):
    commonest = Counter(labels).most_common(1)[0][1]
    assert math.isclose(dumb_error(labels), 1 - commonest/len(labels), abs_tol=1e-12)


@given(st.floats(0, 1), st.integers(1, 60), st.integers(1, 4))
def test_the_best_of_more_candidates_scores_no_worse(error, of, candidates):
    one, several = (expected_best_error(error, of, count) for count in (1, candidates))
    assert math.isclose(one, error, abs_tol=1e-9) and several <= one + 1e-12


@given(st.lists(st.dates(), min_size=2, max_size=30), st.floats(.05, .95))
def test_what_is_held_out_is_later_than_all_else(dates, share):
    try: past, future = DateSplitter(dates, share, repeated=True)(range(len(dates)))
    except ValueError: # which needs a reason
        assert int(share*len(dates)) < 1 or sorted(dates)[-int(share*len(dates))] == min(dates)
        return
    assert sorted(past + future) == list(range(len(dates))) and past and future
    assert max(dates[place] for place in past) < min(dates[place] for place in future)
    assert len(future) >= int(share*len(dates))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=30),
       st.floats(.05, .95), st.integers(0, 9))
def test_no_session_is_on_both_sides(rows, share, seed):
    table = pd.DataFrame(rows, columns=["person", "session"])
    sessions = table.groupby("person").session.nunique()
    if (sessions < 2).any():
        with pytest.raises(ValueError, match="has one session"): split_sessions(table, share, seed)
        return
    held_out = split_sessions(table, share, seed)
    sides = table.assign(held_out=held_out).groupby(["person", "session"]).held_out.nunique()
    assert (sides == 1).all()
    assert set(table.person[held_out]) == set(table.person[~held_out]) == set(table.person)


@given(st.lists(st.floats(.001, 3), min_size=2, max_size=80), st.integers(2, 9), st.floats(.5, 2))
def test_windows_overlap_nowhere_and_hold_no_gap(steps, count, gap):
    events = pd.DataFrame({"person": "a", "session": "s", "time": np.cumsum(steps), "x": 0., "y": 0.})
    try: table = windows(events, count, gap=gap)
    except ValueError: # then no piece is long enough
        pieces = np.split(np.arange(len(steps)), np.flatnonzero(np.diff(np.cumsum(steps)) > gap) + 1)
        assert max(map(len, pieces)) < count
        return
    assert (table.stop - table.start == count).all()
    assert (table.start[1:].values >= table.stop[:-1].values).all()
    for start, stop in zip(table.start, table.stop):
        assert np.diff(events.time[start:stop]).max() <= gap


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 5), st.integers(0, 99)),
                min_size=1, max_size=40), st.sampled_from(["random", "last", "date"]), st.floats(.1, .9))
def test_ratings_are_split_and_none_is_lost(rows, how, share):
    ratings = as_ratings(pd.DataFrame(rows, columns=["user", "item", "rating", "time"]))
    latest = {}
    for user, item, _, time in rows: latest[user, item] = max(time, latest.get((user, item), 0))
    assert dict(zip(zip(ratings.user, ratings.item), ratings.time)) == latest
    try: train, held = split_ratings(ratings, how, share)
    except ValueError: return # one part would be empty
    assert sorted([*train.index, *held.index]) == [*ratings.index]
    if how == "date": assert train.time.max() <= held.time.min()
    if how == "last":
        for user, own in held.groupby("user"):
            assert own.time.min() >= train.time[train.user == user].max()


# --- exercises

@given(ANSWERS, ANSWERS)
def test_any_answer_is_judged(one, other):
    assert agree(one, other) in (True, False) and in_per_cent(one, other, .1) in (True, False)
    assert len(shown(one)) <= 80 and "\n" not in shown(one)


@given(st.floats(-1e6, 1e6), st.floats(-1, 1), st.floats(0, 1))
def test_an_answer_is_right_within_its_tolerance(wanted, off, tolerance):
    assume(abs(abs(off) - tolerance) > 1e-5*abs(wanted) + 1e-9) # just at the edge rounding decides
    within = abs(off) <= tolerance
    slack = 1e-6*abs(wanted) # always allowed
    assert agree(wanted + off, wanted, tolerance) == (within or abs(off) <= tolerance + slack)


# --- files, downloads, names

@given(st.lists(st.binary(max_size=9), min_size=1, max_size=4))
def test_a_checksum_of_several_files_is_that_of_one(tmp_path_factory, pieces):
    folder = tmp_path_factory.mktemp("pieces")
    paths = [folder/str(number) for number in range(len(pieces))]
    for path, piece in zip(paths, pieces): path.write_bytes(piece)
    assert checksum(*paths) == "sha256:" + hashlib.sha256(b"".join(pieces)).hexdigest()


@given(st.binary(max_size=9), st.booleans(), st.booleans())
def test_a_file_is_written_whole_or_not_at_all(tmp_path_factory, content, was_there, fails):
    path = tmp_path_factory.mktemp("staged")/"file"
    if was_there: path.write_bytes(b"old")
    try:
        with staged(path) as new:
            new.write_bytes(content)
            if fails: raise KeyboardInterrupt
    except KeyboardInterrupt: pass
    wanted = content if not fails else b"old" if was_there else None
    assert (path.read_bytes() if path.exists() else None) == wanted and len([*path.parent.iterdir()]) <= 1


PARTS = st.sampled_from(["a", "..", ".", "", "b c", "C:", "\\", "..\\x", "~"])


@given(st.lists(PARTS, max_size=5), st.booleans(), st.sampled_from([TarInfo, ZipInfo]))
def test_no_member_of_an_archive_leaves_its_folder(parts, absolute, form):
    name = "/"*absolute + "/".join(parts)
    if why_refused(form(name)): return # the control is in test_downloads.py
    top = Path("/top/folder")
    assert Path(os.path.normpath(top/name)).is_relative_to(top) and ".." not in PurePosixPath(name).parts


@given(st.lists(st.tuples(NAMES | st.just("a/../../../out"), st.binary(max_size=40)), min_size=1, max_size=3),
       st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3), st.integers(0, 40))
@example([("0", b"")]*3, [(263, 1)], 0) # its directory begins before the file
def test_a_damaged_zip_archive_gives_nothing_that_it_did_not_hold(tmp_path_factory, members, turned, cut):
    "Whatever bytes are changed, and however much of its end is missing."
    folder = tmp_path_factory.mktemp("zip")
    with ZipFile(folder/"x.zip", "w", ZIP_STORED) as archive:
        for number, (name, content) in enumerate(members): archive.writestr(f"{number}/{name}", content)
    content = bytearray((folder/"x.zip").read_bytes())
    for place, value in turned: content[place % len(content)] = value
    (folder/"x.zip").write_bytes(content[:len(content) - cut])
    try: unpack(folder/"x.zip", folder/"x")
    except UNUSABLE: pass
    found = {path.read_bytes() for path in (folder/"x").rglob("*") if path.is_file()}
    assert found <= {content for _, content in members}
    assert {path.name for path in folder.iterdir()} <= {"x.zip", "x"}


@given(st.binary(max_size=9), NAMES, st.sampled_from(["{0}  {1}", "{0} *x/{1}", "SHA256 ({1}) = {0}",
                                                      "SHA2-256({1})= {0}", "SHA256  {2}  C:\\{1}"]),
       st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.sampled_from(["\n", "\r\n"]))
@example(b"", "X", "{0} *x/{1}", "utf-8", "\n") # a folder of another file has the name
def test_a_checksum_is_read_from_any_form(content, name, form, encoding, end):
    digest = hashlib.sha256(content).hexdigest()
    lines = [form.format("0"*64, name + "x", "0"*64), form.format(digest, name, digest.upper()), ""]
    assert listed_sums(end.join(lines).encode(encoding), name) == {digest}


@given(st.text("abcXYZ019%:@!$&;,=+~", min_size=1, max_size=12), NAMES,
       st.sampled_from(["http", "https", "ftp"]))
def test_no_password_is_shown(secret, host, scheme):
    said = hide_password(f"no answer from {scheme}://{secret}@{host}/a@b (timed out), see http://{host}/")
    assert said == f"no answer from {scheme}://…@{host}/a@b (timed out), see http://{host}/"


@given(st.text(max_size=9), st.lists(st.text(max_size=9), min_size=1, max_size=5))
def test_a_name_is_suggested_only_if_there_is_one(name, known):
    said = did_you_mean(name, known)
    assert any(repr(each) in said for each in known) or said.startswith("there are ")


# --- notebooks, notes, containers

@given(st.text())
def test_no_code_of_a_terminal_is_left(text):
    shown_at_the_end = last_state(text)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown_at_the_end) or shown_at_the_end == text
    assert last_state(shown_at_the_end) == shown_at_the_end


@given(st.lists(st.text(string.ascii_letters + "█%| ", min_size=1, max_size=9), min_size=1, max_size=5))
def test_a_bar_that_writes_over_itself_shows_its_end(states):
    widest = max(map(len, states))
    padded = [state.ljust(widest) for state in states]
    assert last_state("\r" + "\r".join(padded) + "\n") == padded[-1].rstrip() + "\n"


@given(NAMES, NAMES, NAMES, st.sampled_from(["/tree/", "/-/tree/", "/src/branch/", ""]))
def test_a_page_is_an_address_and_a_branch(owner, repository, branch, way):
    assume(repository not in ("tree", "blob", "src", "-") and owner not in ("tree", "blob", "src", "-"))
    page = f"https://example.org/{owner}/{repository}" + (way + quote(branch) if way else "")
    assert git_address(page) == f"https://example.org/{owner}/{repository}"
    assert git_branch(page) == (branch if way else "") and folder_name(git_address(page)) == repository


@given(JSON | st.text())
def test_any_ez_json_is_read_or_refused(content):
    text = content if isinstance(content, str) else json.dumps(content)
    try: found = read_ez(text)
    except ValueError as error: assert "ez.json" in str(error)
    else: assert isinstance(found, Ez) and isinstance(json.loads(text), dict)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
       st.sampled_from(["useradd -m {}", "adduser {}"]))
def test_a_user_is_found_where_the_dockerfile_makes_it(user, command):
    assume(user not in ("m", "adduser", "useradd"))
    lines = f"FROM debian:12\nARG WHO={user}\nRUN "
    assert makes_user(user, {}, lines + command.format(user))
    assert makes_user(user, {}, lines + command.format("$WHO"))
    assert not makes_user(f"{user}_2", {}, lines + command.format("${WHO}")) # the control


@given(st.text(max_size=40), st.sampled_from(["+++", "---", ""]))
def test_any_front_matter_is_read_or_refused_with_its_line(text, mark):
    try: facts, lines = read_front(f"{mark}\n{text}\n{mark}\nbody" if mark else text)
    except ValueError as error: assert isinstance(error.args[0], int) and error.args[1]
    else: assert isinstance(facts, dict) and 0 <= lines <= text.count("\n") + 4


@given(st.datetimes(), st.sampled_from(["", "Z", "+01:00", " +0100", " UTC"]))
def test_a_date_of_a_note_stays_the_same_day(moment, zone):
    assume(moment.year >= 1000)
    assert as_date(moment.isoformat(timespec="seconds") + zone)[:10] == moment.date().isoformat()


@given(st.text("ab$`\\ 5-.,\n(", max_size=30))
def test_spans_of_a_note_lie_in_it_one_after_the_other(text):
    found = spans(text)
    places = [place for span in found for place in (span.start, span.end)]
    assert places == sorted(places) and all(0 <= place <= len(text) for place in places)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True),
                       st.text("abc :'1", max_size=8).map(str.strip), max_size=4),
       st.text("ab=\n", max_size=9))
def test_directives_are_those_at_the_top(marks, code):
    lines = [f"#| {name}: {value}" if value else f"#| {name}" for name, value in marks.items()]
    below = "x = 1\n#| not: one\n"
    assert directives("\n".join([*lines, below + code])) == marks


@given(st.sampled_from(["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "I;16", "F"]),
       st.integers(1, 9), st.integers(1, 9), st.integers(1, 8))
def test_any_picture_becomes_rgb_and_upright(mode, width, height, turned):
    picture = Image.new(mode, (width, height))
    exif = picture.getexif()
    exif[0x0112] = turned
    upright = as_rgb(picture)
    assert upright.mode == "RGB" and upright.size == ((height, width) if turned > 4 else (width, height))
    upright.save(io.BytesIO(), "png")


@pytest.mark.slow
def test_each_rule_with_two_thousand_other_inputs(tmp_path):
    names = {**os.environ, "MARK1_EXAMPLES": "2000"}
    words = [BIN/"pytest", "-q", "--basetemp", tmp_path/"own", __file__]
    done = typed(words, cwd=ROOT, env=names, timeout=3600)
    assert done.returncode == 0, done.stdout
