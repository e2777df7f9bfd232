"""Time log-mel pictures beside a plain loop over frames, SciPy, and librosa if installed.

    python benchmarks/sound.py [--rounds N]     half a minute

Writes sound.json, which chapter 08 quotes. Each arm draws the same 400 sounds;
what is compared is the processor's time, on one thread. The chapter's function takes
forty at a time. librosa is no part of the project: `pip install librosa` adds its arm, and without it the
earlier figure is kept.
"""
import argparse
import importlib.util
import itertools
import json
import time
from pathlib import Path

import numpy as np
from harness import compare, measure, report
from mark1.data.sounds import KINDS, RATE, take
from mark1.sound import log_mel, mel_filters
from scipy.signal import ShortTimeFFT
from threadpoolctl import threadpool_limits

RESULT = Path(__file__).with_suffix(".json")
WINDOW, HOP, ROWS = 512, 128, 64
OURS = "this chapter"
FADE = np.hanning(WINDOW + 1)[:-1]
FILTERS = mel_filters(ROWS, WINDOW, RATE)


def level(power):
    "Give decibels below the strongest."
    return 10*np.log10((power/power.max()).clip(1e-6))


def by_loop(wave):
    "Take one frame after the other."
    starts = range(0, len(wave) - WINDOW + 1, HOP)
    frames = [wave[start:start + WINDOW] for start in starts]
    return level(np.stack([FILTERS @ abs(np.fft.rfft(FADE*frame))**2 for frame in frames], 1))


def by_scipy(wave):
    "Leave frames and Fourier transform to SciPy."
    return level(FILTERS @ ShortTimeFFT(FADE, HOP, RATE).spectrogram(wave))


def by_librosa(wave):
    "Leave all of it to librosa."
    import librosa
    power = librosa.feature.melspectrogram(y=wave, sr=RATE, n_fft=WINDOW, hop_length=HOP, n_mels=ROWS,
                                           center=False, htk=True, norm=None)
    return librosa.power_to_db(power, ref=np.max, top_db=60)


if __name__ == "__main__":
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    played = itertools.product(KINDS, range(5), range(10))
    waves = np.stack([take(*each) for each in played])
    def one_by_one(draw): return lambda: [draw(wave) for wave in waves]
    ours = lambda: [log_mel(part) for part in np.split(waves, 10)]
    arms = {"plain loop": one_by_one(by_loop), "SciPy": one_by_one(by_scipy), OURS: ours}
    if importlib.util.find_spec("librosa"): arms["librosa"] = one_by_one(by_librosa)
    with threadpool_limits(1): # threads that wait for a busy core would be counted
        for arm in arms.values(): arm() # imports and plans are made once
        figures = compare(measure(arms, rounds, time.process_time), "plain loop")
    earlier = json.loads(RESULT.read_text())["per_second"] if RESULT.exists() else {}
    per_second = {name: round(len(waves)/figure["seconds"]["median"]) for name, figure in figures.items()}
    report("Log-mel pictures of 400 sounds", figures, RESULT, per_second=earlier | per_second,
           sounds=len(waves))
