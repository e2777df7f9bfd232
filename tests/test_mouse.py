"What the chapters 09 export, where the chapter does not go: bad input, other recordings, real ones."
import io
import os
import re
import tarfile

import numpy as np
import pandas as pd
import pytest
from mark1.data.files import checksum
from mark1.data.sets import manifest_row, mouse_sessions
from mark1.data.traces import read_session, read_sessions
from mark1.mouse import (
    ENCODINGS,
    by_features,
    by_network,
    clean_events,
    draw_traces,
    how_features,
    split_people,
    windows,
    wrong_answers,
)
from mark1.owner import (
    by_forest,
    equal_error,
    equal_error_interval,
    error_curve,
    owner_scores,
    split_sessions,
    together,
    when_features,
    where_features,
)

from conftest import PATIENCE, ROOT

SHARED = ROOT.parent/"shared"/"data"
RECORDINGS = os.environ.get("MARK1_TEST_RECORDINGS") or SHARED/"mouse-dynamics-challenge.tgz"


def session(person="a", name="1", events=60, seed=0, **columns):
    "Make one session of a mouse that wanders."
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(dict(person=person, session=name, time=np.arange(events)*.05,
                              x=500 + rng.integers(-9, 10, events).cumsum(),
                              y=400 + rng.integers(-9, 10, events).cumsum(), state="Move"))
    return table.assign(**columns)


@pytest.fixture
def people():
    "Give four people with three sessions each."
    parts = [session(person, str(number), 130, 10*ord(person) + number)
             for person in "abcd" for number in range(3)]
    return clean_events(pd.concat(parts))[0]


@pytest.mark.parametrize("spoil, said", [
    (lambda table: table.drop(columns="time"), "lack the column 'time'"),
    (lambda table: table.drop(columns="person"), "lack the column 'person'"),
    (lambda table: table.drop(columns="state"), "lack the column 'state'"),
    (lambda table: table[:0], "there are no events"),
    (lambda table: table.sample(frac=1, random_state=0), "runs backwards at .* s; sort its events by time"),
])
def test_events_that_cannot_be(spoil, said):
    with pytest.raises(ValueError, match=said): clean_events(spoil(session()))


@pytest.mark.parametrize("column", ["person", "session"])
def test_events_of_nobody_are_refused(column):
    "A cell left empty in a table; such events were dropped without a word."
    table = session().astype({column: object})
    table.loc[[4, 7], column] = None
    with pytest.raises(ValueError, match=f"2 events have no {column}; fill it in, or take them out"):
        clean_events(table)


def test_people_and_sessions_may_be_numbers():
    "As in a table that one writes oneself."
    parts = [session(person, number, 130, 10*person + number) for person in range(4) for number in range(3)]
    events = clean_events(pd.concat(parts))[0]
    table = windows(events, count=40)
    scores = owner_scores(by_features, where_features(events, table), table)
    low, high = equal_error_interval(scores, rounds=50)
    assert set(scores.person) == set("0123") and 0 <= low <= high <= 1


def test_what_is_broken_is_counted_and_taken_out():
    table = session(events=20).astype({"x": float, "y": object})
    table.loc[3, ["x", "y"]] = 65535
    table.loc[5, "x"] = -1
    table.loc[7, "y"] = "?"
    table.loc[9, "time"] = np.inf
    table.loc[12, "time"] = table.time[11]
    table.loc[15:, "time"] += 60
    events, faults = clean_events(table)
    assert faults.iloc[0].to_dict() == {"events": 20, "no number": 2, "outside": 2, "backwards": 0,
                                        "double": 1, "gaps": 1}
    assert len(events) == 15 and events.x.max() < 1000 and (events.time.diff()[1:] > 0).all()
    again, none = clean_events(events.assign(state="Move"))
    assert none.iloc[0, 1:5].sum() == 0 and len(again) == 15 # the control


def test_sessions_that_stand_mixed_are_told_apart():
    one, other = session("a", "1"), session("b", "1", seed=1)
    mixed = pd.concat([one, other]).sort_values("time", kind="stable")
    events, _ = clean_events(mixed)
    assert events.equals(clean_events(pd.concat([one, other]))[0])
    assert windows(events, count=60).person.tolist() == ["a", "b"]


def test_a_session_of_one_event():
    lonely = clean_events(session(events=1))[0]
    with pytest.raises(ValueError, match="has 1 events, and 100 are needed"): windows(lonely)
    both = clean_events(pd.concat([session(events=1), session("b", "2")]))[0]
    assert windows(both, count=60).person.tolist() == ["b"]


@pytest.mark.parametrize("options, said", [
    (dict(count=61), "has 60 events, and 61 are needed"),
    (dict(seconds=.1, least=30), "and 30 are needed"),
    (dict(count=1), "takes two events"),
    (dict(seconds=-1), "takes two events"),
    (dict(gap=0), "takes two events"),
])
def test_windows_that_cannot_be(options, said):
    with pytest.raises(ValueError, match=said): windows(clean_events(session())[0], **options)


def test_windows_by_time_and_by_count():
    events = clean_events(session())[0] # 60 events in 3 s
    assert (windows(events, seconds=1).stop - windows(events, seconds=1).start).tolist() == [20, 20, 20]
    assert len(windows(events, count=7)) == 8
    assert len(windows(events, count=30)) == 2


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_pictures_of_odd_windows(encoding):
    "A mouse that stands still, one that only clicks, and a window of two events."
    for columns in ({"x": 5, "y": 5}, {"x": 5, "y": 5, "state": "Pressed"}, {"x": [0, 9000]*5, "y": 0}):
        events = clean_events(session(events=10, **columns))[0]
        drawn = draw_traces(events, windows(events, count=2), encoding)
        assert drawn.shape == (5, 32, 32, 3) and drawn.any((1, 2, 3)).all()
        wide = draw_traces(events, windows(events, count=2), encoding, span=50)
        assert wide.shape == drawn.shape # what lies outside is left out
        assert np.isfinite(how_features(events, windows(events, count=2))).all(axis=None)


def test_a_span_keeps_the_size():
    events = clean_events(session())[0]
    table = windows(events, count=60)
    double = events.assign(x=2*events.x, y=2*events.y)
    drawn = [draw_traces(each, table, "path", span=400) for each in (events, double)]
    assert (drawn[0] != drawn[1]).any()
    filled = [draw_traces(each, table, "path") for each in (events, double)]
    assert (filled[0] != filled[1]).mean() < .01 # the control: each fills its own picture


@pytest.mark.parametrize("ask, said", [
    (lambda events, table: draw_traces(events, table, "pth"), "did you mean 'path'"),
    (lambda events, table: draw_traces(events, table, size=7), "it takes 8 px"),
    (lambda events, table: draw_traces(events, table, rate=0), "it takes 8 px"),
    (lambda events, table: draw_traces(events[:9], table), "not of these 9 events"),
    (lambda events, table: draw_traces(events, table[:0]), "there are no windows"),
    (lambda events, table: split_people(table, 0), "give 1 to 3"),
    (lambda events, table: split_sessions(table[table.session == "1"]), "a has one session"),
    (lambda events, table: owner_scores(by_features, where_features(events, table), table.assign(person="a")),
     "there are 1 people"),
    (lambda events, table: by_features(np.zeros((3, 2)), ["a"]*3, np.zeros((1, 2))), "there is one label"),
])
def test_other_bad_input(people, ask, said):
    with pytest.raises(ValueError, match=said): ask(people, windows(people, count=40))


@pytest.mark.parametrize("judge", [by_features, by_forest])
def test_a_judge_gives_probabilities_in_alphabetical_order(judge):
    x = np.r_[np.zeros(20), np.ones(20)][:, None]
    found = judge(x, np.array(["z"]*20 + ["b"]*20), np.array([[0.], [1]]))
    assert found.shape == (2, 2) and np.allclose(found.sum(1), 1)
    assert found[0, 1] > .5 and found[1, 0] > .5 # "b" comes first
    assert wrong_answers(judge, x, np.array(["z"]*20 + ["b"]*20), np.arange(40) % 2 == 0) == 0


def test_the_network_learns_what_is_plain_and_only_that(people):
    pictures = np.zeros((80, 32, 32, 3), np.uint8)
    pictures[:40, 10:20, 10:20] = 255
    labels = np.repeat(["light", "dark"], 40)
    held_out = np.arange(80) % 4 == 0
    assert wrong_answers(by_network, pictures, labels, held_out) == 0
    mixed = np.random.default_rng(0).permutation(labels)
    assert wrong_answers(by_network, pictures, mixed, held_out) >= 4 # the control
    probabilities = [by_network(pictures[:60], labels[:60], pictures[60:], seed=seed) for seed in (0, 0, 1)]
    assert (probabilities[0] == probabilities[1]).all() and (probabilities[0] != probabilities[2]).any()


def test_strangers_are_never_trained_on(people):
    table = windows(people, count=40)
    seen = []
    def spy(train_x, train_y, valid_x, seed=0):
        seen.append(set(train_y))
        return by_features(train_x, train_y, valid_x)
    scores = owner_scores(spy, where_features(people, table), table)
    assert seen == [set("abcd") - {stranger} for stranger in "abcd"]
    assert (scores.owner != scores.person).any() and (scores.owner == scores.person).any()
    low, high = equal_error_interval(scores, rounds=50)
    assert 0 <= low <= equal_error(scores) <= high <= 1
    with pytest.raises(ValueError, match="no session has 99 windows"): together(scores, 99)


def test_equal_errors_known_by_hand():
    scores = pd.DataFrame(dict(owner="a", person=list("ab"), session="1", score=[1., 0]))
    assert equal_error(scores) == 0 and equal_error(scores.assign(score=[0., 1])) == 1
    assert equal_error(scores.assign(score=0.)) == .5
    alarms, misses = error_curve(scores)
    assert alarms.tolist() == [0, 0, 1] and misses.tolist() == [1, 0, 0]
    twice = pd.concat([scores, scores.assign(score=[0., 1])])
    assert equal_error(twice, np.array([3, 3, 1, 1])) == .25


def test_the_clock_says_nothing_of_the_hand(people):
    table = windows(people, count=40)
    other = people.assign(x=people.y, y=people.x)
    assert when_features(people, table).equals(when_features(other, table))
    assert not how_features(people, table).equals(how_features(other.assign(x=0), table)) # the control


HEADER = "record timestamp,client timestamp,button,state,x,y\n"

@pytest.mark.parametrize("content, said", [
    (b"", "is empty"),
    (HEADER.replace("state,", "").encode(), "lacks the column 'state'"),
    (HEADER.encode("utf-16"), "is not text in UTF-8"),
    (b"\xff\xd8\xff\xe0 a picture", "is not text in UTF-8"),
    ((HEADER + "1,2\n" + "1,2,3,4,5,6,7,8\n").encode(), "is no table"),
])
def test_files_that_are_no_sessions(tmp_path, content, said):
    (tmp_path/"session_1").write_bytes(content)
    with pytest.raises(ValueError, match=f"session_1 {said}"): read_session(tmp_path/"session_1")


def toy_archive(columns="client timestamp,state,x,y", people=("ann", "user 2", "z")):
    "Pack sessions of people as the archive of recordings does, with columns in some order."
    packed, row = io.BytesIO(), manifest_row("mouse_sessions")
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for seed, person in enumerate(people):
            for number in (1, 2):
                table = session(events=30, seed=10*seed + number).rename(columns={"time": "client timestamp"})
                content = table[columns.split(",")].to_csv(index=False).encode()
                member = tarfile.TarInfo(f"{row.folder_name}/training_files/{person}/session_{number}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize("columns", ["client timestamp,state,x,y", "y,x,state,client timestamp"])
def test_recordings_come_through_a_mirror(tmp_path, serve, monkeypatch, columns):
    (tmp_path/"served").mkdir()
    name = manifest_row("mouse_sessions").archive_name
    (tmp_path/"served"/name).write_bytes(toy_archive(columns))
    digest = checksum(tmp_path/"served"/name).removeprefix("sha256:")
    (tmp_path/"served"/f"{name}.sha256").write_text(digest)
    monkeypatch.setenv("MARK1_MIRROR", serve(tmp_path/"served"))
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path/"home"))
    table = mouse_sessions()
    assert sorted(table.person.unique()) == ["ann", "user 2", "z"] and len(table) == 180
    assert table.columns.tolist() == ["person", "session", "time", "x", "y", "state"]
    assert len(mouse_sessions(most=7)) == 42
    (tmp_path/"served"/f"{name}.sha256").write_text(digest[::-1])
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path/"other"))
    with pytest.raises(ValueError, match="does not match its .sha256"): mouse_sessions()


def test_recordings_without_a_column_are_refused(tmp_path, serve, monkeypatch):
    (tmp_path/"served").mkdir()
    (tmp_path/"served"/manifest_row("mouse_sessions").archive_name).write_bytes(toy_archive("state,x,y"))
    monkeypatch.setenv("MARK1_MIRROR", serve(tmp_path/"served"))
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path/"home"))
    with pytest.warns(UserWarning, match="taken on trust"), \
            pytest.raises(ValueError, match="session_1 lacks the column 'client timestamp'"): mouse_sessions()


def test_a_folder_without_sessions(tmp_path):
    with pytest.raises(ValueError, match="holds no sessions"): read_sessions(tmp_path)


@pytest.mark.slow
def test_the_chapter_on_real_recordings(mark1, serve, copied_repository, tmp_path):
    "Its cells, on recordings that came through a mirror on the loopback address."
    if not os.path.isfile(RECORDINGS):
        pytest.skip(f"no recordings at {RECORDINGS}; name them in MARK1_TEST_RECORDINGS")
    served = tmp_path/"served"
    served.mkdir()
    name = manifest_row("mouse_sessions").archive_name
    os.symlink(RECORDINGS, served/name)
    (served/f"{name}.sha256").write_text(checksum(RECORDINGS).removeprefix("sha256:"))
    result = mark1("run", "09_owner", cwd=copied_repository, timeout=4*PATIENCE, MARK1_DATA="full",
                   MARK1_MIRROR=serve(served))
    assert result.returncode == 0, result.stdout + result.stderr
    shown = " ".join(result.stdout.replace("│", " ").split())
    print(shown)
    assert "Data: full" in shown and re.search(r"full data, network, speed: \d+% wrong", shown)
