"""What the chapters 05 say of fastai, in fastai, and every form of time: put in order, or refused.

The former is here, since importing it would cost the chapters more than all they measure.
"""
from datetime import date, datetime, time, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from fastai.data.all import ColReader, DataBlock, EndSplitter, RegressionBlock, TransformBlock, range_of
from fastai.tabular.core import TabularPandas
from mark1.time_index import DateSplitter, calendar_features, check_series
from mark1.time_series import calendar_forecasts, past_and_future, repeat_last_year, shuffle_years, two_splits


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


MOMENT = pd.Timestamp("2026-01-02 12:00")
QUARTERS = pd.period_range("2005Q1", periods=40, freq="Q-MAR")


@pytest.mark.parametrize("dates, order", [
    (["2026-01-02T09:00+09:00", "2026-01-01T20:00-05:00", "2026-01-02T00:30+01:00"], [2, 0, 1]),
    ([date(2026, 1, 3), date(2026, 1, 1), date(2026, 1, 2)], [1, 2, 0]),
    ([datetime(2026, 1, 3), MOMENT, np.datetime64("2026-01-01")], [2, 1, 0]),
    ([datetime(2026, 1, 3, tzinfo=timezone.utc), MOMENT.tz_localize("Asia/Tokyo"),
      MOMENT.tz_localize("UTC")], [1, 2, 0]),
    (QUARTERS[[2, 0, 1]], [1, 2, 0]),
    ([2026.5, 2026, 2025], [2, 1, 0]),
    ([Decimal("2026.5"), 2026, 2025.], [2, 1, 0]),
    (pd.to_timedelta([3, 1, 2], "D"), [1, 2, 0])])
def test_dates_of_one_form_are_put_in_order(dates, order):
    if isinstance(dates[0], str): dates = [pd.Timestamp(when) for when in dates]
    assert DateSplitter(dates, .34)("abc") == (order[:2], order[2:])


@pytest.mark.parametrize("dates, said", [
    ([MOMENT, MOMENT.tz_localize("UTC")], "mixes moments without a time zone and moments with a time zone"),
    ([date(2026, 1, 1), MOMENT], "mixes days and moments without a time zone"),
    ([np.datetime64("2026-01-02"), date(2026, 1, 1)], "mixes moments without a time zone and days"),
    ([pd.Period("2026", "Y"), pd.Period("2026Q1", "Q")], "mixes periods of Y-DEC and periods of Q-DEC"),
    ([pd.Period("2026Q1", "Q-MAR"), pd.Period("2026Q1", "Q")], "mixes periods of Q-MAR and periods of Q-DEC"),
    ([pd.Period("2026", "Y"), MOMENT], "mixes periods of Y-DEC and moments"),
    ([2026, date(2026, 1, 1)], "mixes numbers and days"),
    ([2026, "2027"], "holds text such as '2027'"),
    ([True, False], "holds True, which is no date"),
    ([time(1), time(2)], "which is no date"),
    ([(2026, 1), (2026, 2)], "which is no date"),
    ([1j, 2j], "which is no date"),
    ([pd.NaT, MOMENT], "is missing for item 0"),
    ([MOMENT.tz_localize("UTC"), MOMENT.tz_localize("UTC").tz_convert("Asia/Tokyo")], "more than once")])
def test_dates_that_have_no_order_are_refused_with_a_sentence(dates, said):
    with pytest.raises(ValueError, match="^dates ") as refused: DateSplitter(dates, .5)("ab")
    assert said in str(refused.value)


def test_dates_in_another_order_than_the_rows_are_refused(days):
    with pytest.raises(ValueError, match="not in the same order"):
        DateSplitter(days.date.sort_values())(days)
    with pytest.raises(ValueError, match="or several"):
        DateSplitter("date")(pd.concat([days, days.date], axis=1))


@pytest.mark.parametrize("freq, season", [
    ("M", 12), ("Q-MAR", 4), ("Q-JUN", 4), ("Q-NOV", 4), ("Q-DEC", 4), ("Y-JUN", 1), ("Y", 1)])
def test_years_of_periods_go_on_evenly(freq, season):
    index = pd.period_range("1967-03", periods=5*season, freq=freq) # past 1970, from which pandas counts
    found = calendar_features(index)
    assert np.allclose(np.diff(found.years), 1/season)
    first = found.season.iloc[0]
    assert found.season.tolist() == [(first - 1 + step) % season + 1 for step in range(5*season)]
    if freq[0] == "Q": # in the fiscal year's own numbers
        assert found.season.tolist() == list(index.quarter)
        assert found.years.round(6).tolist() == list(index.qyear + (index.quarter - 1)/4)
    if freq == "M": assert found.season.tolist() == list(index.month)


def test_a_fiscal_series_is_forecast_as_any_other():
    # a line, and a level for each quarter
    series = pd.Series(3*np.arange(40.) + np.tile([0, 5, 1, 7], 10), QUARTERS)
    ahead = pd.period_range(QUARTERS[-1] + 1, periods=4, freq="Q-MAR")
    assert np.allclose(calendar_forecasts()["line"](series, ahead), 3*np.arange(40, 44.) + [0, 5, 1, 7])
    assert repeat_last_year(series, ahead).tolist() == series[-4:].tolist()


def unsorted(series): return series.iloc[::-1]
def doubled(series): return pd.concat([series[:20], series[19:]])
def with_gap(series): return series.drop(series.index[7])
def undated(series): return series.set_axis(series.index.where(np.arange(len(series)) != 3))


@pytest.mark.parametrize("harm, said", [
    (unsorted, "is not in order of time"), (doubled, "more than once"), (with_gap, "lacks 1 periods"),
    (undated, "is missing for item 3"), (pd.Series.to_timestamp, "is not in months"),
    (lambda series: series.to_timestamp().tz_localize("UTC"), "is not in months")])
@pytest.mark.parametrize("use", [
    check_series, two_splits, shuffle_years, lambda series: next(past_and_future(series))])
def test_what_takes_a_series_refuses_one_that_is_not_whole(use, harm, said):
    series = pd.Series(np.arange(40.), QUARTERS)
    use(series)
    with pytest.raises(ValueError, match=said): use(harm(series))


def test_a_forecast_is_of_the_periods_that_are_known():
    series = pd.Series(np.arange(40.), QUARTERS)
    ahead = pd.period_range("2016Q1", periods=4, freq="Q-DEC")
    for forecast in calendar_forecasts().values():
        with pytest.raises(ValueError, match="when is in periods of Q-DEC and known in Q-MAR"):
            forecast(series, ahead)
