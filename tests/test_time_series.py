"""What chapter 05 says of fastai, in fastai.

It is here, since importing it would cost the chapter more than all it measures.
"""
import numpy as np
import pandas as pd
import pytest
from fastai.data.all import ColReader, DataBlock, EndSplitter, RegressionBlock, TransformBlock, range_of
from fastai.tabular.core import TabularPandas
from mark1.time_series import DateSplitter


@pytest.fixture
def days():
    "Make fifty days whose value is their number, the rows in random order."
    dates = pd.date_range("2020-01-01", periods=50)
    table = pd.DataFrame({"date": dates, "value": np.arange(50.)})
    return table.sample(frac=1, random_state=0).reset_index(drop=True)


def holds_out_the_latest(train, valid):
    "Check that the last ten of the fifty days are held out, and no other."
    assert sorted(train) == list(range(40)) and sorted(valid) == list(range(40, 50))


def block(splitter):
    return DataBlock(
        (TransformBlock, RegressionBlock),
        get_x=ColReader("value"),
        get_y=ColReader("value"),
        splitter=splitter,
    )


def test_a_data_block_takes_the_splitter(days):
    dls = block(DateSplitter("date")).dataloaders(days, bs=4, num_workers=0)
    holds_out_the_latest(*([float(y) for _, y in subset] for subset in (dls.train_ds, dls.valid_ds)))
    wrong = block(EndSplitter()).datasets(days) # fastai's own believes the order of the rows
    values = ([float(y) for _, y in subset] for subset in (wrong.train, wrong.valid))
    with pytest.raises(AssertionError): holds_out_the_latest(*values)


def test_a_data_block_of_items_takes_a_function(days):
    names = [f"{date:%Y-%m-%d}.png" for date in days.date]
    split = DateSplitter(lambda name: pd.Timestamp(name[:10]))
    data = DataBlock(splitter=split).datasets(names)
    assert sorted(data.valid.items) == sorted(names)[40:] and sorted(data.train.items) == sorted(names)[:40]


def test_a_table_takes_the_splits(days):
    for splits in (DateSplitter("date")(days), DateSplitter(days.date)(range_of(days))):
        table = TabularPandas(days, cont_names=["value"], y_names="value", splits=splits)
        holds_out_the_latest(table.train.items.value.tolist(), table.valid.items.value.tolist())


@pytest.mark.parametrize("valid_pct", [.1, .2, .29, .5])
def test_rows_in_order_are_split_as_fastai_splits_them(days, valid_pct):
    days = days.sort_values("date")
    train, valid = EndSplitter(valid_pct)(range_of(days))
    assert DateSplitter("date", valid_pct)(days) == (list(train), list(valid))
