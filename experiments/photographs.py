"""Share what is done with real photographs: unpack them, train on them, count the wrong answers.

The experiments for chapters 01 and 06 use it, and so does `benchmarks/transfer.py`: it times the very recipes
whose errors are counted.
"""
import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from fastai.vision.all import error_rate, vision_learner
from mark1.activations import FrozenActivations
from mark1.data.downloads import unpack
from mark1.data.files import checksum
from mark1.data.networks import backbone
from mark1.data.pictures import check_pictures
from mark1.data.sets import is_cat
from mark1.first_model import held_out_once
from mark1.recipe import train_head
from shared import parser_for

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent/"shared"/"data"/"oxford-iiit-pet.tgz"
SIZE = 224 # px
BATCH = 16 # pictures
WORKERS = 0 # processes that load pictures
STOCK = "stock fine_tune(1)"
OURS = "frozen activations, computed once"


# What comes from the command line

def photograph_parser(
    description:str,
) -> argparse.ArgumentParser:
    "Make a parser that takes an archive of photographs and a number of threads."
    parser = parser_for(description)
    default = Path(os.environ.get("MARK1_TEST_PHOTOGRAPHS", SHARED))
    parser.add_argument("archive", type=Path, nargs="?", default=default,
                        help="photographs; those that the tests use if not given")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count()), help="2 if not given")
    return parser


def why_missing(
    archive:Path,
) -> str: # '' where it is there
    "Say that there is no archive, and what to do."
    if archive.is_file(): return ""
    return f"no photographs at {archive}; name an archive of them, or set MARK1_TEST_PHOTOGRAPHS"


def unpacked(
    archive:Path, # gzipped tar
    folder:Path, # to make
) -> list[Path]: # sorted pictures
    "Unpack an archive, and check its photographs."
    unpack(archive, folder)
    return check_pictures(folder)


def facts_about(
    archive:Path,
    paths:list[Path], # its photographs
    threads:int,
) -> dict:
    "Gather what belongs to every figure of `--threads` and the archive."
    return {"archive": checksum(archive), "photographs": len(paths), "threads": threads, "workers": WORKERS,
            "batch": BATCH, "px": SIZE}


# How a model is trained

def learner(dls, layout=torch.channels_last, **options):
    "Make a Learner as the course does, its weights in a given layout."
    learn = vision_learner(dls, backbone(), metrics=error_rate, **options)
    learn.model.to(memory_format=layout)
    return learn


def silently(learn, train):
    "Train without a table, and hand the Learner back."
    with learn.no_bar(), learn.no_logging(): train(learn)
    return learn


def stock(dls, layout=torch.contiguous_format):
    "Train by the course's recipe."
    return silently(learner(dls, layout), lambda learn: learn.fine_tune(1))


def head_alone(dls, **options):
    "Train the head for three epochs, the body frozen as fastai freezes it unless told otherwise."
    return silently(learner(dls, **options), lambda learn: learn.fit_one_cycle(3, 3e-3))


def frozen_once(dls, epochs=3, bf16=False):
    "Train the head on activations that were computed once."
    def train(learn):
        with FrozenActivations(learn, views=1, bf16=bf16): learn.fit_one_cycle(epochs, 3e-3)
    return silently(learner(dls), train)


def and_unfrozen(dls):
    "Do the same, then train everything for one ordinary epoch, as the second half of `fine_tune`."
    def train(learn):
        learn.unfreeze()
        learn.fit_one_cycle(1, slice(1.5e-5, 1.5e-3), pct_start=.3, div=5.)
    return silently(frozen_once(dls), train)


# How wrong answers are counted

def count_wrong(
    paths:list[Path], # photographs
    train:Callable=train_head, # DataLoaders to trained Learner
    **options, # of `held_out_once`
) -> tuple[np.ndarray, dict]: # whether each was answered wrong; counts, in all and by fold
    "Hold each photograph out once, and count the wrong answers."
    judged = held_out_once(paths, is_cat, train, **options)
    wrong = judged.label != judged.predicted
    by_fold = [int(count) for count in wrong.groupby(judged.fold).sum()]
    return wrong.to_numpy(), {"wrong": sum(by_fold), "of": len(judged), "wrong_by_fold": by_fold}
