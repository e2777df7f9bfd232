"What chapter 10 exports, where the chapter does not go: other Learners, other loaders, input that cannot be."
import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from mark1.forgetting import (
    Rehearsal,
    agreement,
    digits,
    head_logits,
    learn_task,
    photograph_crops,
    renormalised,
    small_network,
    split_classes,
)
from torch import nn
from torch.utils.data import TensorDataset


@pytest.fixture
def data():
    "Make forty items of two inputs each; an item's number stands in both, its class is that modulo 4."
    number = torch.arange(40.)
    return TensorDataset(number[:,None], -number[:,None], (number % 4).long())


class TwoInputs(nn.Module):
    "Take two inputs."
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 8)
    def forward(self, one, other): return self.layer(torch.cat([one, other], 1))


class Seen(Callback):
    "Note what reaches the model."
    order = 0
    def before_fit(self): self.batches = {True: [], False: []}
    def before_batch(self): self.batches[self.training].append((*self.xb, *self.yb))


def seen(memory, data, bs=8):
    "Give the batches, by whether they were trained on, of one epoch; new items are numbered from 100."
    new = TensorDataset(data.tensors[0] + 100, data.tensors[1] - 100, data.tensors[2] + 4)
    dls = DataLoaders(DataLoader(new, bs=bs, shuffle=True), DataLoader(new, bs=bs))
    dls.n_inp = 2
    spy = Seen()
    callbacks = [memory, spy] if memory else [spy]
    learn = Learner(dls, TwoInputs(), loss_func=nn.CrossEntropyLoss(), cbs=callbacks)
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3)
    return spy.batches


def is_rehearsed(batches, old_items):
    """Check that each training batch of 8 new items has so many old ones.

    They are whole and with their own labels, and no other batch has any.
    """
    for one, other, y in batches[True]:
        old = one[:,0] < 100
        assert old.sum() == old_items and (~old).sum() == 8
        assert (one == -other).all() and (y[old] == one[old,0] % 4).all()
    assert all((one >= 100).all() for one, _, _ in batches[False])


@pytest.mark.parametrize("share, old_items", [(.5, 8), (.2, 2), (.75, 24)])
def test_any_learner_rehearses(data, share, old_items):
    memory = Rehearsal(DataLoader(data, bs=16), per_class=2, share=share)
    is_rehearsed(seen(memory, data), old_items)
    with pytest.raises(AssertionError):
        is_rehearsed(seen(None, data), old_items) # the control: no memory


def test_only_what_it_says_is_kept_and_all_of_it_equally_often(data):
    memory = Rehearsal(DataLoader(data, bs=16, shuffle=True, drop_last=True), per_class=2)
    used = torch.cat([one[one < 100] for one, _, _ in seen(memory, data)[True]]).int().tolist()
    assert sorted(set(used)) == memory.indices.tolist() and {used.count(item) for item in used} == {5}
    assert memory.kept.to_dict() == dict.fromkeys(range(4), 2)
    assert "8 items, 2 of each of 4 classes" in repr(memory)


def test_the_memory_depends_on_its_seed_alone(data):
    kept = lambda **options: Rehearsal(DataLoader(data, bs=7, **options), 2, seed=1).indices.tolist()
    assert kept() == kept(shuffle=True) == kept(drop_last=True)
    assert kept() != Rehearsal(DataLoader(data, bs=7), 2, seed=2).indices.tolist()


@pytest.mark.parametrize("options, said", [
    (dict(per_class=0), "an empty memory"),
    (dict(per_class=-1), "an empty memory"),
    (dict(per_class=11), "of class 0 there are 10"),
    (dict(per_class=1, share=0), "share is 0"),
    (dict(per_class=1, share=1.), "share is 1"),
])
def test_a_memory_that_cannot_be(data, options, said):
    with pytest.raises(ValueError, match=said):
        Rehearsal(DataLoader(data, bs=16), **options)


def test_a_loader_without_items(data):
    with pytest.raises(ValueError, match="nothing to keep"):
        Rehearsal(DataLoader([], bs=4), 1)


@pytest.mark.parametrize("tasks, said", [
    ([[0, 1], [1, 2]], "class 1 is in two tasks"),
    ([[0, 0], [1]], "class 0 is in two tasks, or twice in one"),
    ([[0], [7]], "no item of class 7"),
    ([[0], []], "a task has no classes"),
])
def test_tasks_that_cannot_be(data, tasks, said):
    with pytest.raises(ValueError, match=said): split_classes(data, tasks)


@pytest.mark.parametrize("heads", [[[0, 1], [1, 2]], [[0, 1]], [[0, 1, 2, 3]]])
def test_heads_that_cannot_be(heads):
    with pytest.raises(ValueError, match="belongs in just one"):
        head_logits(torch.zeros(2, 3), torch.tensor([0, 1]), heads)


def nine_items():
    "Make a task of nine items, fewer than there are classes."
    return TensorDataset(torch.zeros(9, 1, 28, 28), torch.zeros(9).long())


@pytest.mark.parametrize("ask, said", [
    (lambda: digits(0), "held_out is 0"),
    (lambda: photograph_crops(0), "each is 0"),
    (lambda: learn_task(small_network(), nine_items(), [range(10)]), "there are 9 items"),
    (lambda: agreement(torch.zeros(2, 3), torch.zeros(1, 3)), "give the same"),
    (lambda: renormalised(small_network(norm=False), torch.zeros(2, 1, 28, 28)), "no batch normalisation"),
])
def test_other_bad_input(ask, said):
    with pytest.raises(ValueError, match=said): ask()
