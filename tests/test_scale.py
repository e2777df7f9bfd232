"""Several ranks: what they listen on, how they end, how they count, and two of them over a slowed network.

Ranks are forked from here, so that they need not import everything again.
"""
import inspect
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from unittest import mock

import pytest
import torch
import torch.distributed as dist
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.torch_core import rank_distrib
from fastai.vision.all import CrossEntropyLossFlat, error_rate
from mark1.data.sets import drawings
from mark1.scale import NO_COPIES, GatheredError, ring_bytes, run_ranks, train_shared, train_through
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from conftest import BIN, ROOT, listening, typed, wait_for

sys.path.insert(0, str(ROOT/"experiments"))
import scale

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    "Keep the drawings in a folder of the test."
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path))
    drawings() # once, before two ranks want them


def all_listening(anywhere):
    "As a rank, say on what this process and the launcher listen, while all ranks run."
    opened = socket.create_server(("0.0.0.0", 0)) if anywhere else None
    dist.barrier()
    found = {*listening(os.getpid(), os.getppid())}
    dist.barrier()
    if opened: opened.close()
    return found


def off_loopback(places):
    "Leave out what is on the loopback address, of either kind."
    return {each for each in places if each.ip not in ("127.0.0.1", "::1")}


@LINUX
def test_ranks_listen_on_loopback_alone():
    before = {*listening(os.getpid())} # of a test before this one, perhaps
    ours = set.union(*run_ranks(all_listening, False)) - before
    assert ours and not off_loopback(ours), ours
    assert off_loopback(set.union(*run_ranks(all_listening, True)) - before) # the control


def writes(path):
    "As a rank, train for an epoch, and say how often this rank has written."
    with mock.patch("torch.save", wraps=torch.save) as saved: train_through(path, 1)
    return saved.call_count


def test_rank_0_alone_writes_the_checkpoint(drawn, tmp_path):
    assert run_ranks(writes, tmp_path/"head.pth") == [1, 0]


def waits(folder, fails):
    "As a rank, write down who this is, and wait; one rank may fail."
    (folder/str(rank_distrib())).write_text(str(os.getpid()))
    dist.barrier() # both have written
    if fails and rank_distrib() == 1: raise ValueError("a rank that fails")
    time.sleep(600)


def runs(process):
    "Say whether a process runs, and is not just waiting to be noticed."
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def ranks_of(folder):
    "Read the ranks' process numbers, where both have written them."
    words = [file.read_text() for file in (folder/"0", folder/"1") if file.exists()]
    return [*map(int, words)] if len(words) == 2 and all(words) else []


@LINUX
def test_ranks_end_with_an_error_and_signals_come_back(tmp_path):
    signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(RuntimeError, match="rank 1 stopped: ValueError: a rank that fails"):
        run_ranks(waits, tmp_path, True)
    assert not any(map(runs, ranks_of(tmp_path)))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == signals


@LINUX
def test_ranks_run_from_any_thread():
    "The newest execnb runs cells in a thread, where no signal may be set."
    found = []
    thread = threading.Thread(target=lambda: found.extend(run_ranks(rank_distrib, world_size=1)))
    thread.start()
    thread.join()
    assert found == [0]


def trains(): torch.zeros((), requires_grad=True).backward()

trains() # before another test traces a network: no copy of this process could train then

TRACED = f"""
import torch
from mark1.scale import run_ranks
from torch.fx.experimental.proxy_tensor import make_fx

{inspect.getsource(trains)}
make_fx(trains)()
run_ranks(trains, world_size=1)
"""

@LINUX
@pytest.mark.slow
@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="tracing makes no threads for a card then")
def test_ranks_that_cannot_train_say_why():
    "Tracing makes PyTorch count cards that are not there, and the first training then makes their threads."
    done = typed([sys.executable, "-c", TRACED], cwd=ROOT)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].endswith(f"rank 0 stopped: {NO_COPIES}")


def test_ranks_train_where_something_was_trained_before_tracing():
    make_fx(trains)()
    assert run_ranks(trains, world_size=1) == [None] # a rank that cannot train raises


@LINUX
def test_ranks_end_with_their_launcher(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path)) # where a killed launcher leaves its files
    launcher = multiprocessing.get_context("fork").Process(target=run_ranks, args=(waits, tmp_path, False))
    launcher.start()
    ranks = wait_for(lambda: ranks_of(tmp_path))
    assert all(map(runs, ranks))
    launcher.kill() # as a kernel is that is shut down
    launcher.join()
    wait_for(lambda: not any(map(runs, ranks)))


def judged(of, world_size):
    "Judge `of` items, of which the first is wrong, as a rank; fastai's share and ours."
    x = torch.ones(of, 1)
    y = torch.tensor([1] + [0]*(of - 1))
    dl = DataLoader(list(zip(x, y)), bs=2)
    model = nn.Linear(1, 2)
    with torch.no_grad(): model.weight.copy_(torch.tensor([[1.], [0.]])), model.bias.zero_()
    learn = Learner(DataLoaders(dl, dl, device="cpu"), model, CrossEntropyLossFlat(),
                    metrics=[error_rate, GatheredError()])
    with learn.distrib_ctx(sync_bn=False), learn.no_bar(), learn.no_logging(): learn.fit(1, 0.)
    return learn.recorder.values[-1][-2:]


@pytest.mark.parametrize("of,world_size", [(4, 2), (5, 2), (5, 4), (3, 3), (2, 3)])
def test_each_item_counts_once(of, world_size):
    for stock, gathered in run_ranks(judged, of, world_size, world_size=world_size):
        assert gathered == pytest.approx(1/of)
        if of == 5: assert stock > 1/of + .01 # the control: fastai counts the first one twice


def test_the_figures_are_kept():
    kept = json.loads(scale.RESULT.read_text())
    for way in ("whole", "head"):
        assert all(len(figures) == len(scale.SEEDS) for figures in kept["same"][way].values())
        assert [point["gigabits"] for point in kept["law"][way]["points"]] == list(scale.RATES)
        assert all(abs(point["predicted"]/point["measured"] - 1 - point["error"]) < 1e-9
                   for point in kept["law"][way]["points"])


def namespaces():
    "List our network namespaces."
    return [line for line in typed(["ip", "netns", "list"]).stdout.splitlines() if line.startswith("mark1-")]


def test_two_machines_send_what_the_law_says():
    if why := scale.why_not(): pytest.skip(why)
    found = scale.between_two_machines(rates=(1,), ways=("toy",), rounds=2)["toy"]
    assert found["bytes"] == 4*250*1001
    sent = found["points"][0]["sent"]
    assert 1 <= sent/ring_bytes(found["bytes"], 2) < 1.5
    with pytest.raises(KeyError), scale.two_machines() as names:
        assert all(any(line.startswith(name) for line in namespaces()) for name in names)
        raise KeyError
    assert not [line for line in namespaces() if line.startswith(f"mark1-{os.getpid()}-")]


# Launchers of their own; each process imports everything for itself

ACCELERATE = BIN/"accelerate", "launch", "--multi_gpu"


def launched(*options, by=ACCELERATE, name=None, **variables):
    "Start the chapter's script through a launcher, on processors; the process comes back."
    words = [*by, *options, "-m", "mark1.scale"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"} | variables
    command = ["ip", "netns", "exec", name, *words] if name else words
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def lines_of(process):
    "Read what the script says for each way and rank."
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def same_everywhere(told):
    "Check that both ranks end with the same parameters, and that no picture went to both."
    for way in ("whole", "head"):
        ranks = [line for line in told if line["way"] == way]
        assert sorted(line["rank"] for line in ranks) == [0, 1]
        assert len({line["fingerprint"] for line in ranks}) == 1
        assert not set(ranks[0]["first epoch"]) & set(ranks[1]["first epoch"])


@pytest.mark.slow
@pytest.mark.parametrize("by", [
    (*ACCELERATE, "--num_processes", "2", "--main_process_port", "0"),
    (BIN/"torchrun", "--nproc_per_node", "2"),
], ids=["accelerate", "torchrun"])
def test_a_launcher_starts_the_script(drawn, tmp_path, by):
    told = lines_of(launched("--rdzv_backend", "c10d", "--rdzv_conf", "store_type=file", by=by,
                             TMPDIR=str(tmp_path)))
    same_everywhere(told)
    forked = run_ranks(train_shared, "head")
    assert {line["fingerprint"] for line in told if line["way"] == "head"} == {forked[0]["fingerprint"]}


@pytest.mark.slow
def test_accelerate_launches_two_machines(drawn, tmp_path):
    if why := scale.why_not(): pytest.skip(why)
    with scale.two_machines() as names:
        machines = [launched("--num_processes", "2", "--num_machines", "2", "--machine_rank", str(rank),
                             "--main_process_ip", f"{scale.NETWORK}.1", "--main_process_port", "29501",
                             "--same_network", name=name, GLOO_SOCKET_IFNAME="mark1", TMPDIR=str(tmp_path))
                    for rank, name in enumerate(names)]
        try: told = [line for machine in machines for line in lines_of(machine)]
        finally:
            for machine in machines: machine.kill()
    same_everywhere(told)
