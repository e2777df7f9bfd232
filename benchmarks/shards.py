"""Time a frozen pass in bf16 beside the bare one; measure memory with shards, by the number of pictures.

    python benchmarks/shards.py [ARCHIVE] [--rounds N] [--measure pass memory]     four minutes

ARCHIVE is a part of Oxford-IIIT Pet in the layout of the course's oxford-iiit-pet.tgz; without it the
photographs that the tests use are taken. Writes shards.json, for chapter 16_shards. The pass is that of
the body of Lite0 on one thread, once with pixels in memory and once from files, in the processor's time.
For the memory 100,000 pictures of 16 px are made, and run through a tiny network in a process for each number
of them, with shards and without; then its head is trained for an epoch. `experiments/quicker_pass.py` counts
wrong answers.
"""
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fastai.vision.all import (
    CrossEntropyLossFlat,
    Datasets,
    Learner,
    RandomSplitter,
    TensorImage,
    default_split,
)
from harness import compare, measure, report
from mark1.activations import FrozenActivations, activations_of, has_bf16, silent
from mark1.data.networks import LITE0_STATS, lite0
from mark1.shards import ShardedActivations
from PIL import Image, ImageOps
from torch import nn

sys.path.append(str(Path(__file__).resolve().parent.parent/"experiments"))
from photographs import BATCH, SIZE, photograph_parser, unpacked, why_missing

RESULT = Path(__file__).with_suffix(".json")
COUNTS = (10_000, 100_000) # pictures
EXACT = "exact"
BF16 = "bf16"
COMPILED = "compiled"
FROM_FILES = ", from files"
WITH = "with shards"
WITHOUT = "without"


# How long a pass takes

def batch_of(
    paths:list[Path], # photographs
) -> torch.Tensor: # (n, 3, SIZE, SIZE), as Lite0 expects them
    "Decode photographs."
    fitted = [ImageOps.fit(Image.open(path).convert("RGB"), (SIZE, SIZE), Image.BILINEAR) for path in paths]
    pixels = torch.stack([torch.from_numpy(np.array(picture)).permute(2, 0, 1) for picture in fitted])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in LITE0_STATS)
    return (pixels/255 - mean)/std


def run_body(body, batches, rounded=False):
    "Run a body over batches: tensors, or lists of files."
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=rounded):
        for each in batches: activations_of(body, each if isinstance(each, torch.Tensor) else batch_of(each))


def times(args):
    "Time the passes on one thread."
    if missing := why_missing(args.archive):
        print(f"{missing}. No pass was timed") # and `make bench` goes on
        return {}
    if not shutil.which(compiler := os.environ.get("CXX", "g++")):
        print(f"there is no {compiler}; install a C++ compiler, or name it in CXX. No pass was timed")
        return {}
    torch.set_num_threads(1)
    body = nn.Sequential(*list(lite0().eval().children())[:-2])
    with tempfile.TemporaryDirectory() as folder:
        paths = unpacked(args.archive, Path(folder)/"photographs")[:2*BATCH]
        files = [paths[start:start + BATCH] for start in range(0, len(paths), BATCH)]
        pixels = [batch_of(each) for each in files]
        arms = {EXACT: partial(run_body, body, pixels), EXACT + FROM_FILES: partial(run_body, body, files),
                COMPILED: partial(run_body, torch.compile(body), pixels)}
        if has_bf16(torch.device("cpu")):
            arms |= {BF16: partial(run_body, body, pixels, True),
                     BF16 + FROM_FILES: partial(run_body, body, files, True)}
        first = measure(arms, 1) # which compiles, and is not compared
        seconds = measure(arms, args.rounds, time.process_time)
    flags = torch.cpu.get_capabilities()
    from_files = compare(seconds, EXACT + FROM_FILES).get(BF16 + FROM_FILES, {})
    return {"figures": compare(seconds, EXACT, {BF16: .6}), "photographs": len(paths), "px": SIZE,
            "bf16 to exact, from files": from_files.get("ratio"),
            "first call, compiled": round(sum(first[COMPILED])), # seconds
            "processor": {name: flags.get(name) for name in ("cpu_name", "avx512_bf16", "amx_bf16")}}


# How much memory it takes

def made_pictures(
    folder:Path, # to make
    count:int,
):
    "Write pictures of 16 px as bare bytes, half of them called cat."
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        (folder/f"{number:06}_{'cat' if number % 2 else 'dog'}.rgb").write_bytes(rng.bytes(16*16*3))


def picture(path): return TensorImage(np.fromfile(path, np.uint8).reshape(3, 16, 16))/255


def label(path): return torch.tensor(int("cat" in path))


def tiny_learner(
    paths:list[str], # pictures
):
    "Make a Learner whose body gives 512 numbers a picture, in batches of 64."
    torch.manual_seed(0)
    splits = RandomSplitter(seed=0)(paths)
    dls = Datasets(paths, [[picture], [label]], splits=splits).dataloaders(bs=64, num_workers=0)
    body = nn.Sequential(nn.Conv2d(3, 32, 4, stride=4), nn.ReLU())
    head = nn.Sequential(nn.Flatten(), nn.Linear(512, 2))
    return silent(Learner(dls, nn.Sequential(body, head), CrossEntropyLossFlat(), splitter=default_split))


def megabytes():
    "Say how much memory this process has needed at most."
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024


def peak(
    way:str, # WITH or WITHOUT
    folder:Path, # of pictures
    count:int, # of them to take
):
    "Pass the pictures, train the head for an epoch, and print the peak of memory in MB."
    torch.set_num_threads(1)
    start = time.perf_counter()
    paths = [f"{folder}/{name}" for name in sorted(os.listdir(folder))[:count]]
    with tempfile.TemporaryDirectory() as shards:
        make = partial(ShardedActivations, folder=shards) if way == WITH else FrozenActivations
        warm = tiny_learner(paths[:640])
        with make(warm): warm.fit(1)
        before = megabytes()
        learn = tiny_learner(paths)
        with make(learn): learn.fit(1)
    print(json.dumps({"peak MB": round(megabytes()), "beyond the start": round(megabytes() - before),
                      "seconds": round(time.perf_counter() - start)}))


def memory(args):
    "Measure the peak with few pictures and with many, with shards and without, in a process each."
    with tempfile.TemporaryDirectory() as folder:
        made_pictures(Path(folder)/"pictures", max(COUNTS))
        found = {}
        for way in (WITH, WITHOUT):
            for count in COUNTS:
                command = [sys.executable, __file__, "--peak", way, f"{folder}/pictures", str(count)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode: raise SystemExit(f"{way}, {count:,} pictures failed: {done.stderr}")
                found.setdefault(way, {})[str(count)] = json.loads(done.stdout.splitlines()[-1])
                print(f"{count:,} pictures {way}: {found[way][str(count)]}", flush=True)
    few, many = map(str, COUNTS)
    ratios = {way: round(rows[many]["peak MB"]/rows[few]["peak MB"], 3) for way, rows in found.items()}
    return {"memory": found, "peak, many to few": ratios, "numbers a picture": 512}


PARTS = {"pass": times, "memory": memory}


def main():
    parser = photograph_parser(__doc__)
    parser.add_argument("--measure", nargs="+", choices=PARTS, default=[*PARTS],
                        help="parts to measure anew; the others are kept")
    parser.add_argument("--rounds", type=int, default=5, help="times that each arm runs")
    args = parser.parse_args()
    for part in args.measure:
        found = PARTS[part](args)
        kept = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        kept = {"figures": {}} | {name: row for name, row in kept.items() if name != "machine"} | found
        report("A frozen pass on many pictures", kept.pop("figures"), RESULT, **kept)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]: sys.exit(peak(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
    main()
