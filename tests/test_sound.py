"""Chapter 08 on sounds: files that are odd or broken, pictures by other code, and any number of voices."""
import contextlib
import functools
import io
import itertools
import os
import re
import struct
import wave as wave_module
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from mark1.data import sets
from mark1.data.files import checksum
from mark1.data.sets import check_sounds, fetch
from mark1.data.sounds import RATE, glide
from mark1.sound import (
    check_wave,
    draw_answers,
    log_mel,
    mel_filters,
    own_test,
    read_sound,
    small_features,
    sound_picture,
    sound_pictures,
    sound_table,
    spectrogram,
    three_promises,
    wrong_after,
)
from scipy.io import wavfile

from conftest import PATIENCE, ROOT

ARCHIVE = ROOT.parent/"shared"/"data"/"free-spoken-digit-dataset.tgz"
TONE = .5*np.sin(2*np.pi*440*np.arange(RATE)/RATE)


def pcm(path, samples, width, channels=1, rate=RATE):
    "Write samples from -1 to 1 with so many bytes each, by Python's own `wave`."
    whole = np.round(samples*(2**(8*width - 1) - 1)).astype(np.int64)
    if width == 1: whole += 128
    content = b"".join(int(value).to_bytes(width, "little", signed=width > 1) for value in whole.ravel())
    with wave_module.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(content)
    return path


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_any_number_of_bits_is_read(tmp_path, width):
    read = read_sound(pcm(tmp_path/"a.wav", TONE, width))
    np.testing.assert_allclose(read, TONE, atol=2.**(2 - 8*width))


def test_24_bits_in_the_form_of_studio_recorders_are_read(tmp_path):
    "WAVE_FORMAT_EXTENSIBLE, which says in a longer header what the plain one says."
    samples = pcm(tmp_path/"plain.wav", TONE, 3).read_bytes()[44:]
    kind = bytes.fromhex("0100000000001000800000aa00389b71")
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, 3*RATE, 3, 24, 22, 24, 4) + kind
    chunk = lambda name, content: name + struct.pack("<I", len(content)) + content
    parts = b"WAVE" + chunk(b"fmt ", form) + chunk(b"data", samples)
    (tmp_path/"a.wav").write_bytes(chunk(b"RIFF", parts))
    np.testing.assert_allclose(read_sound(tmp_path/"a.wav"), TONE, atol=2.**-22)


@pytest.mark.parametrize("kept", [60, 1044, 1045, -2])
def test_a_file_that_breaks_off_is_refused(tmp_path, kept):
    "As a recorder that stops leaves it, or a copy that was cut: half of a sound is another sound."
    path = pcm(tmp_path/"a.wav", TONE, 2)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match="a.wav cannot be read .*; save it as WAV"): read_sound(path)


def test_stereo_is_mixed_or_refused(tmp_path):
    both = pcm(tmp_path/"a.wav", np.stack([TONE, 0*TONE], 1), 2, channels=2)
    np.testing.assert_allclose(read_sound(both), TONE/2, atol=1e-4)
    with pytest.raises(ValueError, match="has 2 channels; mix them"): read_sound(both, mend=False)
    opposite = pcm(tmp_path/"b.wav", np.stack([TONE, -TONE], 1), 2, channels=2)
    with pytest.raises(ValueError, match="is silent"): read_sound(opposite) # they cancel each other


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 22050, 44100, 48000])
def test_another_sampling_rate_is_resampled_or_refused(tmp_path, rate):
    path = pcm(tmp_path/"a.wav", .5*np.sin(2*np.pi*440*np.arange(rate)/rate), 2, rate=rate)
    read = read_sound(path)
    assert len(read) == RATE
    np.testing.assert_allclose(read[500:-500], TONE[500:-500], atol=.01)
    with pytest.raises(ValueError, match=f"{rate} samples in a second; resample it to 8000"):
        read_sound(path, mend=False)


def mu_law():
    "Give a WAV file of a compressed kind."
    form = (7).to_bytes(2, "little") + bytes.fromhex("0100401f0000401f000001000800")
    sizes = (36 + 8).to_bytes(4, "little"), (8).to_bytes(4, "little")
    return b"RIFF" + sizes[0] + b"WAVEfmt \x10\0\0\0" + form + b"data" + sizes[1] + bytes(8)


@pytest.mark.parametrize("content, said", [
    (b"", "uncompressed PCM"),
    (b"ID3\x04 a song", "uncompressed PCM"),
    (b"RIFF\x24\0\0\0WAVE", "uncompressed PCM"),
    (mu_law(), "uncompressed PCM"),
], ids=["no bytes", "mp3", "cut", "mu-law"])
def test_a_file_that_cannot_be_read(tmp_path, content, said):
    path = tmp_path/"a.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said) as caught: read_sound(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("samples, said", [
    (np.zeros(0, np.int16), "holds 0 samples|cannot be read"),
    (np.zeros(1, np.int16), "holds 1 samples"),
    (np.zeros(4000, np.int16), "is silent"),
    (np.full(4000, 7, np.int16), "is silent"),
    (np.array([0, np.nan, 1]), "holds NaN"),
    (np.array([0, np.inf, 1]), "holds NaN or infinite"),
], ids=["empty", "one sample", "silent", "constant", "NaN", "infinite"])
def test_samples_that_cannot_be_used(tmp_path, samples, said):
    wavfile.write(tmp_path/"a.wav", RATE, samples)
    with pytest.raises(ValueError, match=said): read_sound(tmp_path/"a.wav")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError): read_sound(tmp_path/"none.wav")


def test_a_clip_shorter_than_the_window():
    for draw in (spectrogram, log_mel, sound_picture):
        with pytest.raises(ValueError, match="fewer than a window of 512"): draw(TONE[:511])
        draw(TONE[:512]) # the control


@pytest.mark.parametrize("rate", [RATE, 44100])
def test_a_short_clip_in_a_file_is_named_by_what_draws_it(tmp_path, rate):
    path = pcm(tmp_path/"a.wav", TONE[:300], 2, rate=rate)
    with pytest.raises(ValueError, match="fewer than a window of 512; take a longer sound"):
        sound_picture(read_sound(path))


def test_waves_of_a_wrong_kind():
    with pytest.raises(ValueError, match="a row of samples is wanted"): check_wave(np.zeros((2, 100)))
    with pytest.raises(ValueError, match="NaN"): log_mel(np.where(np.arange(RATE) == 5, np.nan, TONE))
    with pytest.raises(ValueError, match="silent"): log_mel(np.stack([TONE, 0*TONE]))
    with pytest.raises(ValueError, match="64 rows are too many"): mel_filters(64, 128)


# decibels by librosa 0.11, of the tone below: rows 0, 7, 14 … and frames 0, 4, 8 … of
# power_to_db(feature.melspectrogram(y=wave, sr=8000, n_fft=512, hop_length=128, n_mels=64, center=False,
#                                    htk=True, norm=None), ref=np.max, amin=1e-30, top_db=60)
REFERENCE = np.array([
    [-60.0, -60.0, -60.0, -60.0, -60.0, -60.0, -60.0],
    [-53.41, -53.83, -53.86, -53.86, -53.86, -53.86, -53.86],
    [-2.44, -60.0, -60.0, -60.0, -60.0, -60.0, -60.0],
    [-59.03, -5.81, -41.26, -59.43, -59.53, -59.55, -59.54],
    [-60.0, -60.0, -43.55, -2.91, -60.0, -60.0, -60.0],
    [-60.0, -60.0, -60.0, -60.0, -35.19, -3.39, -60.0],
    [-53.41, -53.41, -53.41, -53.4, -53.41, -53.41, -52.0],
    [-60.0, -60.0, -60.0, -60.0, -60.0, -60.0, -60.0],
    [-60.0, -60.0, -60.0, -60.0, -60.0, -60.0, -60.0],
    [-55.97, -55.97, -55.97, -55.97, -55.97, -55.97, -55.97],
])


def rising_tone():
    "Make the tone of the reference, with a little noise that is no random number."
    return glide("rises", 300, 1500) + .01*np.sin(np.arange(4000)**2 % 97)


def test_a_log_mel_picture_is_the_one_of_librosa():
    ours = log_mel(rising_tone())[::7, ::4]
    np.testing.assert_allclose(ours, REFERENCE, atol=.02)
    with pytest.raises(AssertionError): # the control: another window
        np.testing.assert_allclose(log_mel(rising_tone(), hop=120)[::7, ::4][:, :7], REFERENCE, atol=.02)


def by_torch(wave):
    "Draw a log-mel picture with other code: frames by torch, triangles by interpolation."
    frames = torch.stft(torch.from_numpy(wave), 512, 128, window=torch.hann_window(512, dtype=torch.float64),
                        center=False, return_complex=True)
    corners = 700*(10**(np.linspace(0, 2595*np.log10(1 + RATE/2/700), 66)/2595) - 1)
    triangles = [np.interp(np.linspace(0, RATE/2, 257), corners[row:row + 3], [0, 1, 0]) for row in range(64)]
    level = 10*np.log10(np.array(triangles) @ frames.abs().square().numpy() + 1e-30)
    return (level - level.max()).clip(-60)


def test_a_log_mel_picture_is_the_one_that_other_code_draws():
    same = functools.partial(np.testing.assert_allclose, atol=1e-6)
    same(by_torch(rising_tone())[::7, ::4], REFERENCE, atol=.02) # which is librosa's, too
    same(log_mel(rising_tone()), by_torch(rising_tone()))
    with pytest.raises(AssertionError): # the control: another scale of frequencies
        same(log_mel(rising_tone(), rate=RATE + 80), by_torch(rising_tone()))


def crowd(sources, offset, labels=3, takes=10, seed=0):
    "Make features of sources, each of which shows every label in a way of its own, by `offset`."
    rng = np.random.default_rng(seed)
    rows = itertools.product(range(labels), range(sources), range(takes))
    table = pd.DataFrame(rows, columns=["label", "source", "number"])
    own = offset*rng.normal(size=(labels, sources, 20))
    x = np.eye(20)[table.label] + .2*rng.normal(size=(len(table), 20)) + own[table.label, table.source]
    return table.assign(label=table.label.astype(str), source="s" + table.source.astype(str)), x


def test_the_player_plays_what_is_drawn(tmp_path):
    "The first held-out sound of each label, in the order of the figure, though files stand in another one."
    hertz = [500, 1000, 1500, 2000, 2500]
    times = np.arange(RATE)/RATE
    paths = [pcm(tmp_path/f"{pitch}.wav", .5*np.sin(2*np.pi*pitch*times), 2) for pitch in hertz]
    held_out, targets = [3, 0, 4], torch.tensor([1, 0, 1]) # 2000 and 2500 Hz are of one label
    dls = SimpleNamespace(vocab=["low", "high"], valid=SimpleNamespace(items=[(np.zeros((96, 96, 3)), "")]*3),
                          valid_ds=SimpleNamespace(splits=[[1, 2], held_out]))
    answers = torch.eye(2)[targets], targets
    learn = SimpleNamespace(dls=dls, no_bar=contextlib.nullcontext, get_preds=lambda: answers)
    _, played = wavfile.read(io.BytesIO(draw_answers(learn, paths).data))
    pieces = np.split(played, 2)
    assert [np.abs(np.fft.rfft(each)).argmax()*RATE/len(each) for each in pieces] == [500, 2000]


@pytest.mark.parametrize("sources", [3, 4, 6, 9])
def test_any_number_of_sources(sources):
    found = three_promises(*crowd(sources, offset=0))
    assert found.index.tolist() == [f"s{source}" for source in range(sources)]
    assert found.columns.tolist() == ["at random", "own test", "by source", "came"]
    assert ((found >= 0) & (found <= 1)).all(axis=None)


def test_sources_that_are_alike_keep_every_promise_and_others_do_not():
    alike, apart = (pd.concat([three_promises(*crowd(5, offset, seed=seed)) for seed in range(5)])
                    for offset in (0, .8))
    assert abs(alike["at random"] - alike["came"]).mean() < .1
    assert apart["came"].mean() > apart["at random"].mean() + .1
    assert apart["by source"].mean() > apart["at random"].mean() + .1


def test_labels_without_meaning_are_not_learned():
    "The control: what is shuffled is guessed."
    table, x = crowd(4, offset=0, takes=20)
    labels = np.random.default_rng(0).permutation(table.label.to_numpy())
    assert wrong_after(x, labels, np.arange(len(x)) % 4 == 0).mean() > .5


def test_the_first_tenth_is_the_own_test_set():
    table = pd.DataFrame([(digit, who, take) for digit in "01" for who in "ab" for take in range(50)],
                         columns=["label", "source", "number"])
    assert (own_test(table) == (table.number < 5)).all()


def test_an_archive_of_digits_without_recordings_is_refused(tmp_path, serve, monkeypatch):
    (tmp_path/"served").mkdir()
    (tmp_path/"served"/"free-spoken-digit-dataset.tgz").write_bytes(b"no archive")
    monkeypatch.setenv("MARK1_MIRROR", serve(tmp_path/"served"))
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path/"cache"))
    with pytest.warns(UserWarning, match="taken on trust"), pytest.raises(ValueError, match="cannot be used"):
        fetch("spoken_digits", progress=False)


def test_a_sound_that_does_not_play_is_named(tmp_path):
    pcm(tmp_path/"7_ann_0.wav", TONE, 2)
    assert [path.name for path in check_sounds(tmp_path)] == ["7_ann_0.wav"]
    (tmp_path/"7_ann_1.wav").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="7_ann_1.wav cannot be read"): check_sounds(tmp_path)


@pytest.fixture
def digits(tmp_path, serve, monkeypatch):
    "Fetch the recordings from a mirror on the loopback address; their folder."
    if not ARCHIVE.is_file(): pytest.skip(f"no recordings at {ARCHIVE}")
    served = tmp_path/"served"
    served.mkdir()
    os.symlink(ARCHIVE, served/ARCHIVE.name)
    (served/f"{ARCHIVE.name}.sha256").write_text(checksum(ARCHIVE).removeprefix("sha256:"))
    monkeypatch.setenv("MARK1_MIRROR", serve(served))
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path/"cache"))
    monkeypatch.setenv("MARK1_DATA", "full")
    return sets.recordings()


def test_real_voices_through_the_door(digits):
    "Any speaker put away is met with more errors than a random split promised."
    table = sound_table(digits)
    assert table.label.nunique() == 10 and table.source.nunique() >= 3
    table = table[table.number < 20]
    x = small_features(sound_pictures(table.path))
    found = three_promises(table.reset_index(drop=True), x)
    print(found)
    assert (found["came"] > 1.5*found["at random"]).all()


@pytest.mark.slow
def test_the_chapter_on_real_voices(digits, mark1, copied_repository):
    result = mark1("run", "08", cwd=copied_repository, timeout=6*PATIENCE, MARK1_DATA="full",
                   MARK1_MIRROR=os.environ["MARK1_MIRROR"], FASTAI_HOME=os.environ["FASTAI_HOME"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"\d+ of \d+ wrong", result.stdout)
