"""Measure with five seeds what chapter 08 quotes, and on spoken digits what a promise is worth.

    python experiments/sound.py [--archive ARCHIVE] [PART …]     some five minutes

Rising against falling tones, seen in five ways; eight kinds of instrument, pretrained or with random weights;
then, on an archive of the Free Spoken Digit Dataset, three ways to hold out against a voice put away.
Any number of speakers will do. Writes sound.json. Without an archive the figures on voices stay as they are.
"""
import tempfile
from pathlib import Path

import numpy as np
from fastai.vision.all import ImageDataLoaders, error_rate, set_seed, vision_learner
from mark1.data.downloads import unpack
from mark1.data.files import checksum
from mark1.data.networks import backbone
from mark1.data.sets import instruments
from mark1.data.sounds import chirps
from mark1.sound import (
    held_out_wrong,
    own_test,
    small_features,
    sound_pictures,
    sound_table,
    three_promises,
    views,
    wrong_after,
)
from shared import keep, kept, parser_for, use_one_thread

RESULT = Path(__file__).with_suffix(".json")
SHARED = Path(__file__).resolve().parent.parent.parent/"shared"/"data"/"free-spoken-digit-dataset.tgz"
SEEDS = range(5)
PARTS = ["rising", "kinds", "voices"]


def rising() -> dict[str, list[int]]: # view to wrong answers of 100, one a seed
    "Train on each view of new tones for each seed."
    counts = {}
    for seed in SEEDS:
        waves, labels = chirps(400, seed=seed + 1)
        for name, x in views(waves, seed).items():
            counts.setdefault(name, []).append(held_out_wrong(x, labels, seed)[0])
    return counts


def trained(table, pictures, seed, pretrained, frozen=True):
    "Train as chapter 08's first cell does, or all of the network; count wrong answers."
    set_seed(seed, reproducible=True)
    dls = ImageDataLoaders.from_lists(".", pictures, [*table.label], valid_pct=.2, seed=seed, bs=16,
                                      num_workers=0)
    learn = vision_learner(dls, backbone(), metrics=error_rate, pretrained=pretrained, train_bn=False)
    (learn.freeze if frozen else learn.unfreeze)()
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(4, 1e-2)
    with learn.no_bar(): probabilities, targets = learn.get_preds()
    return int((probabilities.argmax(1) != targets).sum()), len(targets)


def kinds() -> dict: # arm to wrong answers, one a seed; 'of'
    "Train on the instruments, pretrained and not; logistic regression beside it."
    table = sound_table(instruments())
    pictures = sound_pictures(table.path)
    x, labels = small_features(pictures), table.label.to_numpy()
    arms = {"pretrained": (True, True),
            "random weights": (False, True),
            "random, all trained": (False, False)}
    counts = {name: [] for name in [*arms, "logistic regression"]}
    for seed in SEEDS:
        for name, arm in arms.items():
            wrong, of = trained(table, pictures, seed, *arm)
            counts[name].append(wrong)
        held_out = np.zeros(len(x), bool)
        held_out[np.random.default_rng(seed).permutation(len(x))[:of]] = True
        counts["logistic regression"].append(int(wrong_after(x, labels, held_out).sum()))
        print(seed, {name: values[-1] for name, values in counts.items()}, flush=True)
    return {**counts, "of": of}


def voices(
    archive:Path, # of spoken digits
) -> dict: # 'digits': promises by speaker; 'speakers': error rates; which archive
    "Ask which digit, and who speaks."
    with tempfile.TemporaryDirectory() as folder:
        unpack(archive, Path(folder)/"unpacked")
        table = sound_table(next((Path(folder)/"unpacked").glob("*/recordings")))
        x = small_features(sound_pictures(table.path))
    speakers, digits = table.source.to_numpy(), table.label.to_numpy()
    random = np.random.default_rng(0).permutation(len(x)) % 5 == 0
    new_word = [wrong_after(x, speakers, digits == digit) for digit in np.unique(digits)]
    who = {"at random": wrong_after(x, speakers, random).mean(),
           "own test": wrong_after(x, speakers, own_test(table)).mean(),
           "a digit never heard": np.concatenate(new_word).mean()}
    promises = three_promises(table, x).round(4)
    return {"digits": promises.T.to_dict(),
            "speakers": {name: round(float(share), 4) for name, share in who.items()},
            "archive": checksum(archive), "recordings": len(table)}


if __name__ == "__main__":
    parser = parser_for(__doc__)
    parser.add_argument("--archive", type=Path, default=SHARED, help="of the Free Spoken Digit Dataset")
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"{', '.join(PARTS)}; all if not given")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown: parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    if options.archive != SHARED and not options.archive.is_file():
        parser.error(f"there is no file {options.archive}")
    use_one_thread()
    figures = kept(RESULT)
    if "rising" in options.parts: figures["rising"] = rising()
    if "kinds" in options.parts: figures["kinds"] = kinds()
    if "voices" in options.parts and options.archive.is_file(): figures |= voices(options.archive)
    keep(figures, RESULT)
