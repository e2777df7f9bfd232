"Occlusion and attribution on other networks than the chapter's own, and what they say to bad input."
import pytest
import torch
import torchvision
from fastai.torch_core import TensorImage
from mark1.data.networks import lite0
from mark1.occlusion import attribution, occlusion, rank_correlation
from torch import nn
from toy_networks import LINEAR, Inplace, assert_refused, images, unchanged


def test_modes_hooks_weights_and_images_stay_as_they_were():
    model, batch = Inplace().train(), images()
    with unchanged(model, batch):
        occlusion(model, batch, [0])
        attribution(model, batch, [0, 1], "guided")


def test_any_type_of_batch_and_model():
    model = Inplace().double()
    assert type(attribution(model, TensorImage(images()), [0, 0], "deconvnet")) is torch.Tensor
    model = nn.Sequential(nn.AvgPool2d(40), nn.Flatten()) # no parameters
    assert occlusion(model, images(1, 40, 40), [2]).shape == (1, 1, 40, 40)


@pytest.mark.parametrize("model", [
    pytest.param(Inplace(), id="functions"),
    pytest.param(torchvision.models.resnet18(), id="modules"),
    pytest.param(lite0(False), id="ReLU6"),
])
def test_the_gradient_rule_is_autograd_and_the_others_are_not(model):
    model.eval()
    batch = images().requires_grad_()
    wanted, = torch.autograd.grad(model(batch)[[0, 1], [2, 3]].sum(), batch)
    torch.testing.assert_close(attribution(model, batch, [2, 3]), wanted)
    for rule in ("guided", "deconvnet"):
        assert not torch.allclose(attribution(model, batch, [2, 3], rule), wanted)


BAD = {
    "size is 33 and stride 16": lambda: occlusion(Inplace(), images(), [0], size=33),
    "size is 8 and stride 0": lambda: occlusion(Inplace(), images(), [0], size=8, stride=0),
    "outputs is [5]; the model gives (2, 5)": lambda: occlusion(Inplace(), images(), [5]),
    "outputs is [0]; the model gives (2, 2, 40, 32)": lambda: occlusion(nn.Conv2d(3, 2, 1), images(), [0]),
    "rule is 'deconv'": lambda: attribution(Inplace(), images(), [0, 0], "deconv"),
    "outputs is [0]; give one for each of 2 images": lambda: attribution(Inplace(), images(), [0]),
    "outputs is [0, 5]": lambda: attribution(Inplace(), images(), [0, 5]),
    "the model has no ReLU; guided is then the gradient":
        lambda: attribution(LINEAR, images(), [0, 0], "guided"),
    "a map has one value everywhere": lambda: rank_correlation(torch.ones(1, 4), torch.randn(1, 4)),
    "the maps are (1, 4) and (1, 5)": lambda: rank_correlation(torch.ones(1, 4), torch.ones(1, 5)),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_gets_a_sentence(said):
    assert_refused(BAD[said], said)
