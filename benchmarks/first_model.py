"""Measure the first model with several seeds, and keep the counts in first_model.json, which chapter 01 quotes.

    python benchmarks/first_model.py             the drawings, some two minutes on one core
    python benchmarks/first_model.py ARCHIVE     259 real photographs as well, some ten minutes

ARCHIVE is a part of Oxford-IIIT Pet in the layout of the course's oxford-iiit-pet.tgz, seven photographs of each breed.
The folds' seed, 42, was fixed before the first run; the other seeds show its luck.
"""
import argparse
import json
import os
import tarfile
import tempfile
from pathlib import Path

import torch
from fastai.vision.all import ImageDataLoaders, Resize, error_rate, get_image_files, set_seed, vision_learner
from mark1.data.sets import backbone, check_pictures, drawings, is_cat
from mark1.data.downloads import checksum, staged
from mark1.first_model import dumb_error, held_out_once, train_head

RESULT = Path(__file__).with_suffix(".json")


def first_screen(dls, pretrained=True):
    "The recipe of chapter 01's first screen."
    learn = vision_learner(dls, backbone(), metrics=error_rate, pretrained=pretrained)
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(1)
    return learn


def measure_drawings(
    seeds:range=range(5), # of split and training
) -> dict: # counts, one a seed; the control starts from random weights
    "Count the wrong answers on the held-out fifth of the drawings."
    files = get_image_files(drawings()).sorted(key=str)
    result = {"of": 0, "wrong": [], "wrong_untrained_body": [], "dumb": []}
    for name, pretrained in (("wrong", True), ("wrong_untrained_body", False)):
        for seed in seeds:
            set_seed(seed, reproducible=True)
            dls = ImageDataLoaders.from_name_func(".", files, valid_pct=0.2, seed=seed, label_func=is_cat,
                                                  item_tfms=Resize(128), bs=16, num_workers=0)
            learn = first_screen(dls, pretrained)
            result["of"] = len(dls.valid.items)
            result[name].append(round(learn.recorder.values[-1][-1]*result["of"]))
            if pretrained: result["dumb"].append(round(dumb_error(is_cat(path.name) for path in dls.valid.items), 4))
        print(name, result[name], flush=True)
    return result


def measure_photographs(
    paths:list, # photographs
    train=train_head, # DataLoaders to trained Learner
    **options, # of `held_out_once`
) -> dict: # counts, in all and by fold
    "Count the wrong answers, each photograph held out once."
    judged = held_out_once(paths, is_cat, train, **options)
    wrong = judged.label != judged.predicted
    by_fold = [int(count) for count in wrong.groupby(judged.fold).sum()]
    print(train.__name__, options, f"{sum(by_fold)} of {len(judged)} wrong", by_fold, flush=True)
    return {"wrong": sum(by_fold), "of": len(judged), "wrong_by_fold": by_fold}


def unpack(
    archive:Path,
    folder:Path, # where to
) -> list[Path]: # sorted pictures
    "The photographs of an archive."
    with tarfile.open(archive) as tar: tar.extractall(folder, filter="data")
    return check_pictures(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, nargs="?", help="oxford-iiit-pet.tgz with 259 photographs")
    archive = parser.parse_args().archive
    if archive and not archive.is_file(): parser.error(f"there is no file {archive}")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    result["drawings"] = measure_drawings()
    if archive:
        with tempfile.TemporaryDirectory() as folder:
            paths = unpack(archive, Path(folder))
            result["photographs"] = {
                "archive": checksum(archive), "recipe": "train_head", "seed": 42, **measure_photographs(paths),
                "other_seeds": {seed: measure_photographs(paths, seed=seed) for seed in (1, 2, 3, 4)},
                "first_screen": measure_photographs(paths, first_screen, batch=16)}
    with staged(RESULT) as fresh: fresh.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__": main()
