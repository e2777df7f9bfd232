"""Measure the first model with several seeds, and keep the counts in first_model.json for chapter 01.

    python experiments/first_model.py             the drawings, some three minutes on one core
    python experiments/first_model.py ARCHIVE     259 real photographs as well, some eleven minutes

ARCHIVE is a part of Oxford-IIIT Pet in the layout of the course's oxford-iiit-pet.tgz, seven photographs of
each breed. The folds' seed, 42, was fixed before the first run; the other seeds show its luck.
"""
import tempfile
from pathlib import Path

from fastai.vision.all import ImageDataLoaders, Resize, error_rate, get_image_files, set_seed, vision_learner
from mark1.data.files import checksum
from mark1.data.networks import backbone
from mark1.data.sets import drawings, is_cat
from mark1.first_model import dumb_error
from mark1.recipe import train_head
from photographs import count_wrong, silently, unpacked
from shared import keep, kept, parser_for, use_one_thread

RESULT = Path(__file__).with_suffix(".json")


def first_screen(dls, pretrained=True):
    "Train by the recipe of chapter 01's first screen."
    learn = vision_learner(dls, backbone(), metrics=error_rate, pretrained=pretrained)
    return silently(learn, lambda learn: learn.fine_tune(1))


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
            held_out = dls.valid.items
            result["of"] = len(held_out)
            result[name].append(round(learn.recorder.values[-1][-1]*len(held_out)))
            if pretrained: result["dumb"].append(round(dumb_error(is_cat(path.name) for path in held_out), 4))
        print(name, result[name], flush=True)
    return result


def measure_again(
    seeds:range=range(5), # of split and training
) -> dict: # counts, one a seed
    "Count the wrong answers of the exercise `pretrained-1`, its setting unchanged and changed."
    files = get_image_files(drawings()).sorted(key=str)[::2]
    result = {"of": len(files)//2, "pretrained": [], "not_pretrained": []}
    for name, pretrained in (("pretrained", True), ("not_pretrained", False)):
        for seed in seeds:
            set_seed(seed, reproducible=True)
            dls = ImageDataLoaders.from_name_func(".", files, valid_pct=.5, seed=seed, label_func=is_cat,
                                                  item_tfms=Resize(96), bs=16, num_workers=0)
            learn = vision_learner(dls, backbone(), metrics=error_rate, pretrained=pretrained)
            silently(learn, lambda learn: learn.fit_one_cycle(3, 3e-3))
            result[name].append(round(learn.recorder.values[-1][-1]*result["of"]))
        print("exercise", name, result[name], flush=True)
    return result


def measure_photographs(
    paths:list[Path], # photographs
    train=train_head, # DataLoaders to trained Learner
    **options, # of `held_out_once`
) -> dict: # counts, in all and by fold
    "Count the wrong answers, each photograph held out once, and say them."
    _, counts = count_wrong(paths, train, **options)
    print(train.__name__, options, counts, flush=True)
    return counts


def main():
    parser = parser_for(__doc__)
    parser.add_argument("archive", type=Path, nargs="?", help="oxford-iiit-pet.tgz with 259 photographs")
    archive = parser.parse_args().archive
    if archive and not archive.is_file(): parser.error(f"there is no file {archive}")
    use_one_thread()
    result = kept(RESULT)
    result["drawings"] = measure_drawings()
    result["again"] = measure_again()
    if archive:
        with tempfile.TemporaryDirectory() as folder:
            paths = unpacked(archive, Path(folder)/"photographs")
            result["photographs"] = {
                "archive": checksum(archive), "recipe": "train_head", "seed": 42,
                **measure_photographs(paths),
                "other_seeds": {seed: measure_photographs(paths, seed=seed) for seed in (1, 2, 3, 4)},
                "first_screen": measure_photographs(paths, first_screen, batch=16)}
    keep(result, RESULT)


if __name__ == "__main__": main()
