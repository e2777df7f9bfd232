"""Measure what several processes need, and keep the figures in scale.json, which chapter 16 quotes.

    python experiments/scale.py            everything; four minutes
    python experiments/scale.py same       five seeds: two ranks against one process of the same total batch
    python experiments/scale.py law        seconds and bytes of a step, over a slowed network (Linux, root)

For the law two ranks run in two network namespaces, as if they were two machines. A cable of the kernel's own
(a veth pair) joins them, and `tc` holds its speed down at both ends. Each rank computes steps without and
with the exchange of gradients, in turn; the quickest of each kind counts, since other programs disturb
the others. The namespaces are named mark1-…; they are removed at the end, also after an error.
"""
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from mark1.scale import (
    EvalLayers,
    distance,
    join_ranks,
    ring_bytes,
    run_ranks,
    shared_learner,
    step_seconds,
    train_shared,
)
from shared import keep, kept, parser_for, use_one_thread
from torch import nn
from torch.nn.parallel import DistributedDataParallel

RESULT = Path(__file__).with_suffix(".json")
SEEDS = range(5)
RATES = .1, 1. # Gbit/s
NETWORK = "10.77.0" # addresses within the two namespaces; no other sees them
PATIENCE = 400 # seconds until the ranks are given up


def same(
) -> dict[str, dict[str, list]]: # way to what was compared, by seed
    "Compare two ranks with one process, and with controls."
    figures = {}
    for way in ("whole", "head"):
        found = figures[way] = {"equal_ranks": [], "one_process": [], "other_order": [], "own_norms": []}
        for seed in SEEDS:
            two, one = run_ranks(train_shared, way, seed), train_shared(way, seed, imitate=2)
            still = (EvalLayers(nn.Dropout),)
            moving = run_ranks(train_shared, way, seed, 1, still), train_shared(way, seed, 2, still)
            found["equal_ranks"].append(two[0]["fingerprint"] == two[1]["fingerprint"])
            found["one_process"].append(distance(one, two[0]))
            found["other_order"].append(distance(one, train_shared(way, seed)))
            found["own_norms"].append(distance(moving[1], moving[0][0]))
    return figures


def why_not(
) -> str: # empty where they can be made
    "Say why network namespaces cannot be made here."
    if sys.platform != "linux": return "network namespaces are Linux's"
    try: subprocess.run(["ip", "netns", "add", f"mark1-{os.getpid()}-try"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespace can be made: {getattr(error, 'stderr', None) or error}"
    subprocess.run(["ip", "netns", "del", f"mark1-{os.getpid()}-try"], check=True)
    return ""


@contextmanager
def two_machines(
) -> Iterator[list[str]]: # names of the namespaces; in each the cable's end is called mark1
    "Make two network namespaces, joined by a cable, and remove them at the end."
    names = [f"mark1-{os.getpid()}-{end}" for end in "ab"]
    ip = lambda *words: subprocess.run(["ip", *words], check=True, capture_output=True)
    made = []
    try:
        for name in names:
            ip("netns", "add", name)
            made.append(name)
        ip("-n", names[0], "link", "add", "mark1", "type", "veth", "peer", "name", "mark1", "netns", names[1])
        for place, name in enumerate(names, 1):
            ip("-n", name, "addr", "add", f"{NETWORK}.{place}/30", "dev", "mark1")
            for device in ("lo", "mark1"): ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in made: ip("netns", "del", name) # and the cable with them


def between_two_machines(
    rates:tuple=RATES, # Gbit/s
    ways:tuple=("whole", "head"),
    rounds:int=12,
) -> dict: # what rank 0 measured
    "Measure steps of two ranks in two namespaces. `RuntimeError` where a rank stops."
    settings = json.dumps({"rates": rates, "ways": ways, "rounds": rounds})
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": f"{NETWORK}.1",
              "MASTER_PORT": "29577", "GLOO_SOCKET_IFNAME": "mark1", "OMP_NUM_THREADS": "1"}
    with two_machines() as names:
        ranks = [subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-W", "ignore", __file__, "rank", settings],
            env=os.environ | common | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True,
        ) for rank, name in enumerate(names)]
        try: said = [rank.communicate(timeout=PATIENCE)[0] for rank in ranks]
        finally:
            for rank in ranks: rank.kill()
    if any(rank.returncode for rank in ranks): raise RuntimeError("a rank stopped; its words stand above")
    return json.loads(said[0].splitlines()[-1])


def hold_down(
    rate:float, # Gbit/s
):
    "Let this namespace's end of the cable send so fast and no faster."
    bits = rate*1e9
    burst = max(65536, int(bits/8*.001)) # bytes: a millisecond
    subprocess.run(["tc", "qdisc", "replace", "dev", "mark1", "root", "tbf", "rate", f"{int(bits)}bit",
                    "burst", str(burst), "latency", "200ms"], check=True)


def step_of(
    way:str, # 'whole', 'head' or 'toy'
) -> tuple[nn.Module, torch.Tensor, torch.Tensor]: # network, inputs and targets of one step
    "Build what a step computes: 8 pictures a rank."
    if way == "toy": return nn.Linear(1000, 250), torch.randn(8, 1000), torch.zeros(8, dtype=torch.long)
    learn = shared_learner(0, 2)
    learn.unfreeze()
    x, y = learn.dls.one_batch()
    model = learn.model.eval()
    if way == "head":
        with torch.no_grad(): x = model[0](x)
        model = model[1]
    return model, torch.Tensor(x), torch.tensor(y)


def sent() -> int: # bytes that this end of the cable has sent
    return int(Path("/sys/class/net/mark1/statistics/tx_bytes").read_text())


def rank_main(rates, ways, rounds):
    "Measure as one of the two ranks; rank 0 prints what it found."
    join_ranks()
    found = {}
    for way in ways:
        model, x, y = step_of(way)
        network = DistributedDataParallel(model, broadcast_buffers=False) # gradients alone
        opt = torch.optim.Adam(model.parameters())
        def step():
            nn.functional.cross_entropy(network(x), y).backward()
            opt.step()
            opt.zero_grad()
        def timed(exchange):
            dist.barrier()
            bytes_before, start = sent(), time.perf_counter()
            if exchange: step()
            else:
                with network.no_sync(): step()
            seconds = torch.tensor(time.perf_counter() - start)
            dist.all_reduce(seconds, dist.ReduceOp.MAX) # the slower rank decides
            return seconds.item(), sent() - bytes_before
        size = sum(part.numel()*part.element_size() for part in model.parameters() if part.requires_grad)
        found[way] = {"bytes": size, "compute_alone": alone(step, network, rounds), "points": []}
        for rate in rates:
            hold_down(rate)
            timed(True), timed(True) # the second one has gradients in buckets of their final order
            pairs = [(timed(False), timed(True)) for _ in range(rounds)]
            compute, measured = (min(pair[at][0] for pair in pairs) for at in (0, 1))
            predicted = step_seconds(compute, size, 2, rate)
            found[way]["points"].append({
                "gigabits": rate, "compute": compute, "measured": measured, "predicted": predicted,
                "error": predicted/measured - 1, "sent": float(np.median([pair[1][1] for pair in pairs]))})
    if dist.get_rank() == 0: print(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


def alone(
    step, # computes one
    network:DistributedDataParallel,
    rounds:int,
) -> float: # seconds
    "Time steps of rank 0 while the other rank waits."
    seconds = []
    if dist.get_rank() == 0:
        with network.no_sync():
            for _ in range(rounds + 1):
                start = time.perf_counter()
                step()
                seconds.append(time.perf_counter() - start)
    dist.barrier()
    return min(seconds[1:], default=0.)


def main():
    use_one_thread()
    if sys.argv[1:2] == ["rank"]: return rank_main(**json.loads(sys.argv[2]))
    parser = parser_for(__doc__)
    parser.add_argument("parts", nargs="*", choices=["same", "law"], default=["same", "law"])
    parts = parser.parse_args().parts
    figures = kept(RESULT)
    if "same" in parts: figures["same"] = same()
    if "law" in parts:
        if why_not(): parser.exit(2, f"{why_not()}\n")
        figures["law"] = between_two_machines()
    keep(figures, RESULT)


if __name__ == "__main__": main()
