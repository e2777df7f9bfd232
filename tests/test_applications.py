"What chapter 12 says to texts and tables that are not as they should be; and where its full data come from."
import io
import pickle
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.text.all import (
    AWD_LSTM,
    awd_lstm_clas_config,
    awd_lstm_lm_config,
    get_language_model,
    text_classifier_learner,
)
from fastai.text.models.core import _model_meta
from fastai.torch_core import set_seed
from mark1.applications import (
    as_features,
    boosted_trees,
    check_texts,
    drop_repeated,
    fold_of,
    item_means,
    review_dls,
    review_learner,
    reviews,
    table_to_classify,
)
from mark1.data.files import checksum
from mark1.data.sets import film_ratings, manifest_row


def test_empty_texts_are_left_out_and_counted(capsys):
    texts = pd.Series(["tea", "", None, "  ", "cake"], index=[3, 3, 1, 0, 9])
    assert check_texts(texts).tolist() == ["tea", "cake"]
    assert capsys.readouterr().out == "left out: 3 empty texts\n"
    with pytest.raises(ValueError, match="no text is left"): check_texts(texts[1:4])


@pytest.mark.parametrize("text", ["café", "naïve", "Müller", "日本"])
def test_text_in_another_encoding_is_mended(text, capsys):
    wrong = text.encode().decode("cp1252")
    assert check_texts(pd.Series([wrong, text])).tolist() == [text, text]
    assert "mended: 1 texts" in capsys.readouterr().out


def test_lost_letters_are_counted_and_many_of_them_refused(capsys):
    few = pd.Series(["caf\ufffd", *["tea"]*30])
    assert check_texts(few).tolist() == few.tolist()
    assert "1 of 31 texts have lost letters" in capsys.readouterr().out
    with pytest.raises(ValueError, match="read the file again in the encoding"): check_texts(few[:5])
    with pytest.raises(ValueError, match=r"no text, for instance b'tea'; decode bytes"):
        check_texts(pd.Series([b"tea"]))
    with pytest.raises(ValueError, match="1 entries are no text, for instance 7"):
        check_texts(pd.Series([7, "tea"]))


def test_duplicates_are_dropped_whatever_the_index(capsys):
    words = ["Good tea", "bad  tea", "Bad tea", "new"]
    train = pd.DataFrame({"words": words, "label": list("abcd")}, index=[5, 2, 8, 1])
    test = pd.DataFrame({"words": ["GOOD TEA ", "other"]}, index=[5, 5])
    assert drop_repeated(train, test, "words").label.tolist() == ["b", "d"]
    assert "1 training texts that are in the test part, 1 that stand twice" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no column 'text'; say which one"): drop_repeated(train, test)


def test_an_index_with_doubles_is_no_trouble_for_duplicates(capsys):
    train = pd.DataFrame({"text": ["a", "b", "c"], "label": [1, 2, 3]}, index=[0, 0, 0])
    assert drop_repeated(train, pd.DataFrame({"text": ["b"]})).label.tolist() == [1, 3]


@pytest.fixture
def table():
    "Make 60 rows with gaps, a category that comes last, and an uneven index."
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    return pd.DataFrame({"x": np.where(x > 1.2, np.nan, x), "job": ["a", "b"]*29 + ["new", None],
                         "flag": rng.random(60) < .5, "y": np.where(x > 0, "yes", "no")},
                        index=rng.integers(0, 9, 60))


LAST = np.arange(60) >= 50


def test_gaps_and_new_categories_are_treated_and_said(table, capsys):
    filled, categories, numbers = as_features(table, "y", LAST)
    assert numbers == ["x"] and categories == ["job", "flag", "x missing"]
    gaps = table.x.isna().to_numpy()
    assert (filled.x[gaps] == table.x[~LAST].median()).all()
    assert (filled["x missing"] == "True").tolist() == gaps.tolist()
    assert filled.job.isna().sum() == 2
    assert capsys.readouterr().out == "taken as missing: 1 entries of 'job' that training never saw\n"
    predicted = boosted_trees(table, "y", LAST)
    assert len(predicted) == 10 and set(predicted) <= {"yes", "no"}


def test_held_out_rows_say_nothing_about_how_gaps_are_filled(table):
    other = table.copy()
    other.iloc[50:, 0] = 1e6
    one, two = (as_features(each, "y", LAST)[0].x[:50] for each in (table, other))
    assert one.tolist() == two.tolist()


@pytest.mark.parametrize("change, sentence", [
    (dict(y="yes"), "'y' has one value only"),
    (dict(y=None), "60 entries of 'y' are missing"),
    (dict(x=np.nan), "the column 'x' is empty in the rows to train on"),
])
def test_a_table_that_teaches_nothing_is_refused(table, change, sentence):
    with pytest.raises(ValueError, match=sentence): as_features(table.assign(**change), "y", LAST)


def test_a_mask_of_another_length_is_refused(table):
    with pytest.raises(ValueError, match="held has 3 entries and the table 60 rows"):
        as_features(table, "y", LAST[:3])


def test_a_column_of_one_value_is_kept_and_does_no_harm(table):
    with warnings.catch_warnings(action="error"):
        found = boosted_trees(table.assign(same=1., word="w"), "y", LAST)
    assert found.tolist() == boosted_trees(table, "y", LAST).tolist()


def test_items_never_seen_get_the_mean_of_all():
    train = pd.DataFrame({"item": list("aab"), "rating": [1., 3, 5]}, index=[4, 4, 4])
    found = item_means(train, pd.DataFrame({"item": list("bz")}, index=[7, 7]))
    assert found.tolist() == [5, 3] and found.index.tolist() == [7, 7]
    assert sum(fold_of(np.array(list("ab")*10), fold).sum() for fold in range(5)) == 20


def served(folder, name, **files):
    "Put files into an archive as a mirror serves it; `__` stands for a dot."
    row = manifest_row(name)
    packed = folder/"packed"/name/row.folder_name
    packed.mkdir(parents=True)
    for file, content in files.items(): (packed/file.replace("__", ".")).write_bytes(content)
    archive = folder/row.archive_name
    form = "zip" if archive.suffix == ".zip" else "gztar"
    shutil.move(shutil.make_archive(str(packed.parent/"made"), form, packed.parent, row.folder_name), archive)
    digest = checksum(archive).removeprefix("sha256:")
    archive.with_name(f"{archive.name}.sha256").write_text(digest)


def saved(tensors):
    "Give what `torch.save` writes, as fastai's weights were saved."
    memory = io.BytesIO()
    torch.save(tensors, memory, _use_new_zipfile_serialization=False)
    return memory.getvalue()


def test_full_data_are_the_courses_own(tmp_path, serve, monkeypatch):
    "Small stand-ins of all four come through a mirror, and the weights land where fastai puts them."
    small = {"emb_sz": 6, "n_hid": 8, "n_layers": 2}
    monkeypatch.setitem(_model_meta[AWD_LSTM], "config_clas", awd_lstm_clas_config | small)
    words = ["xxunk", "xxpad", "tea", "good"]
    set_seed(0)
    lm = get_language_model(AWD_LSTM, len(words), config=awd_lstm_lm_config | small)
    weights, pickled = saved(lm.state_dict()), pickle.dumps(words)
    served(tmp_path, "text_weights", lstm_fwd__pth=weights, itos_wt103__pkl=pickled)
    served(tmp_path, "imdb_sample",
           texts__csv=b"label,text,is_valid\nnegative,bad film,False\n"
                      b"positive,good tea good film good,False\npositive,tea,True\n")
    served(tmp_path, "adult_sample", adult__csv=b"age,workclass,salary\n49,Private,>=50k\n")
    served(tmp_path, "movielens_100k", u__data=b"3\t9\t5\t880\n", u__genre=b"unknown|0\nAction|1\n",
           u__item=b"9|Heat (1995)|01-Jan-1995||http://x|0|1\n")
    for name, value in {"MARK1_DATA": "full", "MARK1_MIRROR": serve(tmp_path),
                        "FASTAI_HOME": str(tmp_path/"home")}.items(): monkeypatch.setenv(name, value)
    assert reviews().part.tolist() == ["train", "train", "test"]
    assert table_to_classify()[1] == "salary" and film_ratings().title.tolist() == ["Heat"]
    table = reviews()
    dls = review_dls(table[:2], table[2:])
    learn = review_learner(dls)
    oracle = text_classifier_learner(dls, AWD_LSTM, pretrained=False)
    (tmp_path/"lstm.pth").write_bytes(weights)
    (tmp_path/"words.pkl").write_bytes(pickled)
    oracle.load_pretrained(tmp_path/"lstm.pth", tmp_path/"words.pkl", model=oracle.model[0])
    found, wanted = (each.model[0].state_dict() for each in (learn, oracle))
    torch.testing.assert_close(found, wanted)
    rows, vocab = found["module.encoder.weight"], list(dls.vocab[0])
    torch.testing.assert_close(rows[vocab.index("good")], lm[0].encoder.weight[3].detach())
    control = text_classifier_learner(dls, AWD_LSTM, pretrained=False).model[0].state_dict()
    assert not torch.allclose(control["module.encoder.weight"], rows)
