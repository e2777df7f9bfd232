"Activation maximisation on other networks than the chapter's own, and what it says to bad input."
import pytest
from mark1.maximisation import maximise
from toy_networks import LINEAR, Inplace, assert_refused, images, unchanged


def test_modes_hooks_and_weights_stay_as_they_were():
    model = Inplace().train()
    with unchanged(model, images()):
        maximise(model, "gate", [1], (3, 20, 20), steps=2)


BAD = {
    "has no convolutions;": lambda: maximise(LINEAR, "1", [0], (3, 40, 32)),
    "channels holds -1": lambda: maximise(Inplace(), "act", [-1], (3, 20, 20)),
    "unit is (9, 0); the maps of 'second' have 9 rows":
        lambda: maximise(Inplace(), "second", [0], (3, 20, 20), unit=(9, 0)),
    "steps, lr and contrast must be more than 0":
        lambda: maximise(Inplace(), "second", [0], (3, 20, 20), steps=0),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_gets_a_sentence(said):
    assert_refused(BAD[said], said)
