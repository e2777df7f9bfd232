"Activations in files, which processes compute together: killed, changed, cut, foreign, on a full disk."
import errno
import json
import os
import signal
import subprocess
import sys
from functools import partial
from inspect import getsource
from types import SimpleNamespace
from unittest import mock

import mark1.shards as shards_module
import pytest
import torch
from fastai.torch_core import TensorImage
from fastai.vision.all import Resize, ResizeMethod, default_split, model_meta, set_seed, vision_learner
from fasttransform import Transform
from mark1.activations import FrozenActivations, silent
from mark1.shards import ShardedActivations, compute_in_processes, mark_of, read_shard

from conftest import ROOT, typed
from test_activations import TARGETS, loaders, same, table, tiny, trained  # noqa: F401, one is a fixture


def learner(table, network=tiny, target="categories", step=None, **kwargs):
    "Make a Learner on 32 + 8 pictures in batches of six: with a batch in each shard there are 6 + 2."
    dls = loaders(table, target, **kwargs)
    if step: dls.add_tfms([step], "after_batch")
    return silent(vision_learner(dls, network, **TARGETS[target][2]))


def shards(table, folder, batches=1, views=None, bf16=False, **kwargs):
    return ShardedActivations(learner(table, **kwargs), folder, views, bf16, batches)


def test_a_new_process_looks_for_no_function_of_a_notebook(monkeypatch, tmp_path):
    "As without Linux, or with several threads: a new process gets a function by the name of its module."
    context = mock.Mock(**{"return_value.Process.return_value.exitcode": 0})
    monkeypatch.setattr("multiprocessing.get_context", context)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    notebook = {**vars(shards_module), "__name__": "__main__"}
    for function in (shards_module.compute_part, compute_in_processes): exec(getsource(function), notebook)
    notebook["compute_in_processes"](dict, tmp_path)
    assert context.call_args == mock.call("spawn") and notebook["compute_part"].__module__ == "__main__"
    targets = {each.kwargs["target"] for each in context.return_value.Process.call_args_list}
    assert targets == {shards_module.compute_part}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def all_rows(activations):
    "Give all activations and targets, whatever they are kept in."
    rows = [view[range(len(view))] for views in activations.activations for view in views]
    return rows + [part for parts in activations.targets for part in parts]


@pytest.mark.parametrize("target, batches", [*zip(TARGETS, (1, 4, 99))])
def test_bit_for_bit_what_one_pass_in_memory_gives(table, tmp_path, target, batches):
    whole = FrozenActivations(learner(table, target=target))
    sharded = shards(table, tmp_path/"shards", batches, target=target)
    assert len(sharded.made) == len(contents(tmp_path/"shards")) == {1: 8, 4: 3, 99: 2}[batches]
    for one, other in zip(all_rows(whole), all_rows(sharded), strict=True):
        assert torch.equal(one, other) and type(one) is type(other)
    view = sharded.activations[0][0]
    assert torch.equal(view[[31, 0, 7, 7]], whole.activations[0][0][[31, 0, 7, 7]])
    assert torch.equal(view[5], whole.activations[0][0][5]) and view.nbytes == whole.activations[0][0].nbytes


def test_the_same_training(table, tmp_path):
    def train(make):
        set_seed(0, reproducible=True)
        activations = make(learner(table))
        with activations as learn: learn.fit_one_cycle(3, 1e-2)
        return activations.learn
    same(train(FrozenActivations), train(lambda learn: ShardedActivations(learn, tmp_path)))


def test_dice_are_left_as_they_were(table, tmp_path):
    learn = learner(table)
    set_seed(3)
    before = torch.rand(1)
    set_seed(3)
    with ShardedActivations(learn, tmp_path): pass
    assert torch.rand(1) == before


def in_a_process(table, victim=None):
    "Make a Learner; the process that comes first is killed while it writes its third shard."
    if victim:
        with victim.open("a") as file: file.write("x")
        if victim.stat().st_size == 1:
            writes = iter([None, None])
            def fsync(number): next(writes, "no more") and os.kill(os.getpid(), signal.SIGKILL)
            mock.patch("os.fsync", fsync).start()
    return learner(table)


def test_processes_compute_together_what_one_computes(table, tmp_path):
    compute_in_processes(partial(in_a_process, table), tmp_path/"three", 3, batches=1)
    assert len(shards(table, tmp_path/"one").made) == 8
    assert contents(tmp_path/"three") == contents(tmp_path/"one")
    assert shards(table, tmp_path/"three").made == []


def test_a_killed_process_leaves_whole_shards_and_others_go_on(table, tmp_path):
    killed = partial(in_a_process, table, tmp_path/"victim")
    with pytest.raises(RuntimeError, match="no process has come to the end"):
        compute_in_processes(killed, tmp_path/"shards", 1, batches=1)
    left = contents(tmp_path/"shards")
    assert len(left) == 2 and all(read_shard(tmp_path/"shards"/name) for name in left)
    assert [*(tmp_path/"shards").glob(".mark1-*/*")] # the third is there, under no name of a shard
    again = shards(table, tmp_path/"shards")
    assert len(again.made) == 6 and left.items() <= contents(tmp_path/"shards").items()
    (tmp_path/"victim").unlink()
    compute_in_processes(killed, tmp_path/"two", 2, batches=1) # the other computes what is left
    assert contents(tmp_path/"two") == contents(tmp_path/"shards")


def test_own_shards_come_first_and_then_those_of_others_from_the_end(table, tmp_path):
    one = ShardedActivations(learner(table), tmp_path, batches=1, rank=1, world_size=3)
    everything = one.shards()
    assert one.made == [everything[place] for place in (1, 4, 7, 6, 5, 3, 2, 0)]
    with mock.patch.dict(os.environ, {"RANK": "2", "WORLD_SIZE": "5"}):
        assert (shards(table, tmp_path).rank, shards(table, tmp_path).world_size) == (2, 5)


class Dim(Transform):
    "Darken by a number that its text does not show."
    def __init__(self, by):
        super().__init__()
        self.by = by
    def encodes(self, picture: TensorImage): return picture*self.by


def gelu(pretrained=True):
    "Make the same parameters with another function between them."
    network = tiny()
    network[2] = torch.nn.GELU()
    return network


def replace_a_picture(table):
    (table[1]/"7.png").write_bytes((table[1]/"8.png").read_bytes())


CHANGES = { # what is done, options of the second Learner, shards to compute anew of 6 + 2
    "nothing": (None, {}, 0),
    "a picture": (replace_a_picture, {}, 1),
    "a label": (lambda table: table[0].__setitem__("kind", ["even"]*7 + ["odd"] + ["even", "odd"]*16), {}, 2),
    "the size": (None, {"resize": Resize(17, ResizeMethod.Squish)}, 8),
    "the way to resize": (None, {"resize": Resize(16, ResizeMethod.Squish, resamples=(0, 0))}, 8),
    "a hidden number of a transform": (None, {"step": Dim(.5)}, 8),
    "the batch size": (None, {"bs": 4}, 10),
    "a function in the network": (None, {"network": gelu}, 8),
}
EXTRA = {"a hidden number of a transform": {"step": Dim(.6)}} # options of the first Learner


@pytest.mark.parametrize("what", CHANGES)
def test_what_has_changed_is_computed_anew_and_nothing_else(table, tmp_path, what, monkeypatch):
    monkeypatch.setitem(model_meta, gelu, {"cut": -3, "split": default_split, "stats": ([.5]*3, [.5]*3)})
    change, options, count = CHANGES[what]
    first = shards(table, tmp_path/"shards", **EXTRA.get(what, {}))
    before = contents(tmp_path/"shards")
    if change: change(table)
    second = shards(table, tmp_path/"shards", **options)
    assert (len(first.made), len(second.made)) == (8, count)
    assert before.items() <= contents(tmp_path/"shards").items()
    if count and what != "a label": # the same weights, and so the same as a pass in memory
        for one, other in zip(all_rows(FrozenActivations(learner(table, **options))), all_rows(second)):
            assert torch.equal(one, other)
    assert (f"{count} shards of other pictures or networks lie there too" in repr(second)) == (0 < count < 9)


def test_a_long_target_is_told_by_all_of_its_numbers():
    "Its text shows the first and the last ones."
    zeros, one = torch.zeros(3000), torch.zeros(3000)
    one[1500] = 1
    assert repr(zeros) == repr(one) and mark_of(zeros) != mark_of(one) == mark_of(one.clone())
    assert len({*map(mark_of, (zeros, zeros.view(2, -1), zeros.double(), "a", 1))}) == 5


def test_a_pass_in_bf16_has_shards_of_its_own(table, tmp_path, monkeypatch):
    monkeypatch.setattr("mark1.activations.has_bf16", lambda device: True)
    assert len(shards(table, tmp_path).made) == len(shards(table, tmp_path, bf16=True).made) == 8


def cut(path): path.write_bytes(path.read_bytes()[:-9])
def empty(path): path.write_bytes(b"")
def damage(path): path.write_bytes(path.read_bytes()[:-1] + b"\x07")
def put_another_there(path): path.write_bytes(min({*path.parent.iterdir()} - {path}).read_bytes())
def put_a_picture_there(path): path.write_bytes(b"\x89PNG\r\n\x1a\n"*40)


@pytest.mark.parametrize("spoil, said", [
    (cut, "is gone or cut short"), (empty, "is gone or cut short"), (damage, "is damaged"),
    (put_another_there, "is of other pictures or of another network"),
    (put_a_picture_there, "is gone or cut short")])
def test_a_shard_that_is_not_what_its_name_says(table, tmp_path, spoil, said):
    folder = tmp_path/"shards"
    shards(table, folder)
    whole = contents(folder)
    path = sorted(folder.iterdir())[3]
    spoil(path)
    with pytest.warns(UserWarning, match=f"the shard {path.name} {said}; it is computed anew"):
        assert len(shards(table, folder).made) == 1
    assert contents(folder) == whole


def test_a_shard_that_goes_while_a_head_trains(table, tmp_path):
    sharded = shards(table, tmp_path/"shards")
    with sharded as learn:
        for path in (tmp_path/"shards").iterdir(): path.unlink()
        with pytest.raises(ValueError, match="is gone or cut short; compute the activations again"):
            learn.fit(1)


def test_pictures_that_change_before_the_head_trains(table, tmp_path):
    sharded = shards(table, tmp_path)
    replace_a_picture(table)
    said = "the set of pictures 0 to 5 to train on has changed since the activations were computed"
    with pytest.raises(ValueError, match=said): sharded.__enter__()


def test_a_full_disk_leaves_what_was_whole(table, tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with mock.patch("os.fsync", side_effect=[None, None, full]):
        with pytest.raises(OSError, match=r"cannot write to .* \(No space left on device\); free some space"):
            shards(table, tmp_path/"shards")
    assert len([*(tmp_path/"shards").iterdir()]) == 2
    assert len(shards(table, tmp_path/"shards").made) == 6
    (tmp_path/"file").touch()
    with pytest.raises(OSError, match="cannot write to .*file"): shards(table, tmp_path/"file")


def test_random_views_are_the_same_whoever_computes_them(table, tmp_path):
    def compute(folder, rank, count):
        learn = learner(table, resize=Resize(16))
        return ShardedActivations(learn, tmp_path/folder, 2, batches=1, rank=rank, world_size=count)
    one, other = compute("one", 0, 1), compute("other", 2, 3)
    assert contents(tmp_path/"one") == contents(tmp_path/"other") and len(one.made) == 6*2 + 2
    first, second = (view[range(32)] for view in other.activations[0])
    assert not torch.equal(first, second)
    assert "2 × 32 + 1 × 8" in repr(one) and "in 14 shards, 14 of them computed now" in repr(one)
    with one as learn: learn.fit(2)


def test_what_cannot_be(table, tmp_path):
    learn = learner(table)
    with pytest.raises(ValueError, match="batches is 0"): ShardedActivations(learn, tmp_path, batches=0)
    with pytest.raises(ValueError, match="rank is 2 of 2 processes"):
        ShardedActivations(learn, tmp_path, rank=2, world_size=2)
    learn.dls.train.dataset = SimpleNamespace(tls=[])
    with pytest.raises(ValueError, match="load them with a DataBlock or ImageDataLoaders"):
        ShardedActivations(learn, tmp_path, views=1)
    assert not [*tmp_path.glob("*.safetensors")]


def test_a_shard_holds_numbers_and_text_alone(table, tmp_path):
    "It is read without pickle, so it cannot run code."
    shards(table, tmp_path/"shards")
    for path in (tmp_path/"shards").iterdir():
        assert path.suffix == ".safetensors" and b"pickle" not in path.read_bytes()
        assert {*read_shard(path)} == {"activations", "target 0"}


SCRIPT = """import sys
from mark1.activations import small_learner
from mark1.shards import ShardedActivations
once = ShardedActivations(small_learner(), sys.argv[1], batches=1)
print(once.rank, once.world_size, *(str(shard) for shard in once.made), sep=";")
"""


@pytest.mark.slow
def test_a_script_is_started_once_for_each_process_as_the_chapter_says(tmp_path):
    (tmp_path/"script.py").write_text(SCRIPT)
    start = partial(subprocess.Popen, [sys.executable, "script.py", "shards"], cwd=tmp_path, text=True,
                    stdout=subprocess.PIPE)
    own = {**os.environ, "FASTAI_HOME": str(tmp_path/"data"), "WORLD_SIZE": "2"}
    processes = [start(env={**own, "RANK": str(rank)}) for rank in range(2)]
    said = [process.communicate(timeout=600)[0].strip().split(";") for process in processes]
    assert [words[:2] for words in said] == [["0", "2"], ["1", "2"]]
    assert len({*said[0][2:], *said[1][2:]}) == 5 == len([*(tmp_path/"shards").iterdir()])


@pytest.mark.slow
def test_memory_stays_flat(tmp_path):
    "Pictures ten times as many; the control without shards needs more."
    sys.path.append(str(ROOT/"benchmarks"))
    from shards import WITH, WITHOUT, made_pictures
    made_pictures(tmp_path/"pictures", 30_000)
    def beyond(way, count):
        script = ROOT/"benchmarks"/"shards.py"
        words = [sys.executable, script, "--peak", way, tmp_path/"pictures", str(count)]
        done = typed(words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])["beyond the start"]
    grown = {way: beyond(way, 30_000) - beyond(way, 3_000) for way in (WITH, WITHOUT)}
    print(grown, "MB more")
    assert grown[WITH] < 20 < 60 < grown[WITHOUT]
