"What the chapters 13 say to tables that are not as they should be, and to the smallest that there are."
import numpy as np
import pandas as pd
import pytest
from mark1.recommendation import (
    KINDS,
    as_ratings,
    compare_models,
    difference_interval,
    fit_ratings,
    neighbours,
    root_mean_square,
    split_ratings,
)
from mark1.top_ten import RECOMMENDERS, compare_recommenders, coverage, recommend, user_measures
from mark1.uplift import make_world, off_policy, value_of, watch
from sklearn.linear_model import Ridge


@pytest.fixture
def table():
    "Make 400 ratings of 40 users and 30 items, whose index is uneven and whose names are words."
    rng = np.random.default_rng(0)
    pairs = rng.permutation(40*30)[:400]
    return pd.DataFrame({"who": [f"user {pair//30}" for pair in pairs], "what": pairs % 30,
                         "stars": rng.integers(1, 6, 400), "when": rng.integers(0, 1000, 400)},
                        index=rng.integers(0, 5, 400))


NAMES = {"user": "who", "item": "what", "rating": "stars", "time": "when"}


def test_names_index_and_types_of_the_table_do_not_matter(table):
    ratings = as_ratings(table, **NAMES)
    assert ratings.columns.tolist() == ["user", "item", "rating", "time"]
    assert ratings.index.tolist() == list(range(400)) and ratings.rating.dtype == float
    dates = as_ratings(table.assign(when=pd.to_datetime(table.when, unit="s")), **NAMES)
    pd.testing.assert_frame_equal(dates, ratings)
    words = as_ratings(table.assign(what=table.what.astype("category")), **NAMES)
    assert root_mean_square(fit_ratings(words), words) == root_mean_square(fit_ratings(ratings), ratings)


@pytest.mark.parametrize("change, sentence", [
    (dict(when="yesterday"), "times are text, for instance 'yesterday'; make dates of them"),
    (dict(stars="four"), "ratings are text, for instance 'four'"),
    (dict(stars=np.inf), "a rating is infinite"),
    (dict(who=None), "entries of 'who' are missing; drop these rows"),
    (dict(when=np.nan), "entries of 'when' are missing"),
    (dict(stars=np.nan), "the table has no ratings"),
])
def test_a_table_that_cannot_be_used_is_refused(table, change, sentence):
    with pytest.raises(ValueError, match=sentence): as_ratings(table.assign(**change), **NAMES)


def test_a_missing_column_is_named(table):
    with pytest.raises(ValueError, match="no column 'user'; it has who, what, stars, when"): as_ratings(table)


def test_ratings_missing_or_doubled_are_left_out_and_counted(table, capsys):
    first = table.iloc[:1]
    more = pd.concat([table.astype({"stars": float}), first.assign(stars=np.nan, what=99),
                      first.assign(stars=3, when=2000)])
    ratings = as_ratings(more, **NAMES)
    said = capsys.readouterr().out
    assert "left out: 1 rows without a rating" in said and "1 earlier ratings" in said
    mine = ratings[(ratings.user == first.who.iloc[0]) & (ratings.item == first.what.iloc[0])]
    assert mine.rating.tolist() == [3.] and len(ratings) == 400


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", ["user", "item", "rating"])
def test_one_user_one_item_or_one_value(table, kind, column):
    ratings = as_ratings(table.assign(when=range(400)), **NAMES)
    ratings = ratings.assign(**{column: 3.}).drop_duplicates(["user", "item"])
    found = fit_ratings(ratings, kind).predict(ratings)
    assert found.notna().all() and found.between(1, 5).all()
    if column == "rating": np.testing.assert_allclose(found, 3)
    if kind == "mean": np.testing.assert_allclose(found, ratings.rating.mean())
    if kind == "biases": # one column of numbers for each user and item, shrunk: a ridge regression
        columns = pd.get_dummies(ratings[["user", "item"]].astype(str)).astype(float)
        ridge = Ridge(alpha=4, fit_intercept=False).fit(columns, ratings.rating - ratings.rating.mean())
        np.testing.assert_allclose(found, ridge.predict(columns) + ratings.rating.mean(), atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_rating(kind):
    one = pd.DataFrame({"user": ["a"], "item": ["x"], "rating": [4.], "time": [0]})
    assert fit_ratings(one, kind).predict(one).tolist() == [4.]
    for how in ("random", "last", "date"):
        with pytest.raises(ValueError, match="leaves one part empty"): split_ratings(one, how)


def test_a_user_with_no_past_gets_the_mean_and_the_bias_of_the_item(table):
    model = fit_ratings(as_ratings(table, **NAMES))
    pairs = pd.DataFrame({"user": ["nobody"]*2, "item": [3, "nothing"]}, index=[7, 7])
    found = model.predict(pairs)
    assert found.index.tolist() == [7, 7] # as it was given
    np.testing.assert_allclose(found, [model.mean + model.items.bias[3], model.mean])


def test_a_user_with_one_rating_stays_in_training(table):
    ratings = as_ratings(table, **NAMES)
    alone = pd.DataFrame({"user": ["alone"], "item": [1], "rating": [2.], "time": [9999]})
    train, test = split_ratings(pd.concat([ratings, alone], ignore_index=True), "last")
    assert "alone" in set(train.user) and "alone" not in set(test.user)
    assert set(train.index) | set(test.index) == set(range(401)) and not set(train.index) & set(test.index)


def test_seeds_decide_and_nothing_else(table):
    ratings = as_ratings(table.assign(when=np.random.default_rng(0).permutation(400)), **NAMES)
    pd.testing.assert_frame_equal(compare_models(ratings), compare_models(ratings))
    shuffled = ratings.sample(frac=1, random_state=0)
    for how in ("last", "date"): # the order of rows does not matter where no two times are the same
        one, other = (split_ratings(each, how)[1].sort_index() for each in (ratings, shuffled))
        pd.testing.assert_frame_equal(one, other)
    assert difference_interval(*[fit_ratings(ratings)]*2, ratings) == (0, 0)


@pytest.mark.parametrize("how", RECOMMENDERS)
def test_recommendations_are_new_and_none_twice(table, how):
    ratings = as_ratings(table, **NAMES)
    lists = recommend(ratings, how)
    pairs = pd.MultiIndex.from_frame(lists[["user", "item"]])
    assert pairs.is_unique and not pairs.isin(pd.MultiIndex.from_frame(ratings[["user", "item"]])).any()
    assert (lists.groupby("user")["rank"].max() == 10).all() and 0 < coverage(lists, ratings) <= 1
    assert recommend(ratings, how, known=True).groupby("user").size().eq(10).all()


@pytest.mark.parametrize("how", RECOMMENDERS)
def test_recommenders_take_one_user_and_one_item(how):
    one = pd.DataFrame({"user": ["a"], "item": ["x"], "rating": [4.], "time": [0]})
    assert recommend(one, how).empty # all is known
    assert recommend(one, how, known=True).item.tolist() == ["x"]


def test_a_list_for_nobody_is_refused(table):
    ratings = as_ratings(table, **NAMES)
    with pytest.raises(ValueError, match="split by user, not by date"):
        user_measures(recommend(ratings), ratings, ratings.assign(user="new"))
    train, test = split_ratings(ratings, "last")
    twice = pd.concat([test, test]) # rows that are doubled count once
    pd.testing.assert_frame_equal(compare_recommenders(train, twice), compare_recommenders(train, test))
    with pytest.raises(ValueError, match="has 1 others"):
        neighbours(pd.DataFrame([[1., 0], [0, 1]]), 2)


def test_the_smallest_world():
    world = make_world(1, 1)
    assert world.stars.shape == (1, 1)
    value = value_of(world, pd.DataFrame({"user": [0], "item": [0]}))
    np.testing.assert_allclose(value.sum(), world.shown[0, 0])
    famous = type(world)(world.stars, np.ones((1, 1)), np.ones((1, 1)))
    assert len(watch(famous)) == 1
    with pytest.raises(ValueError, match="no ratings"):
        watch(type(world)(world.stars, np.zeros((1, 1)), world.shown))


def test_a_log_of_an_item_that_the_new_policy_never_draws():
    log = pd.DataFrame({"shown": [True, False]*5, "watched": True, "old": .5, "new": 0.})
    found = off_policy(log)
    assert found.estimate == found.reached == found.effective == 0 # and `reached` warns
