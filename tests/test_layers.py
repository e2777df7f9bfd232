"Chapter 07 on other networks than its own, and what it says to bad input."
import numpy as np
import pytest
import timm
import torch
import torchvision
from fastai.torch_core import TensorImage
from mark1.data.networks import LITE0_STATS, lite0
from mark1.data.pictures import as_batch
from mark1.layers import (
    activations,
    attribution,
    boxes,
    convolutions,
    find_layer,
    masked_changes,
    maximise,
    occlusion,
    rank_correlation,
    receptive_fields,
    shuffled,
    tiles,
    top_patches,
)
from PIL import Image
from timm.layers.pool2d_same import MaxPool2dSame
from torch import nn
from torch.nn import functional as F


class Inplace(nn.Module):
    """Use functions in place of modules, a shared ReLU, and squeeze and excitation.

    A pooling rounds up, and a layer is never used.
    """
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding="same")
        self.second = nn.Conv2d(4, 4, 3, 2, groups=2)
        self.gate = nn.Conv2d(4, 4, 1)
        self.act = nn.ReLU(inplace=True)
        self.unused = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 5)
    def forward(self, x):
        x = self.act(self.first(x))
        x = F.avg_pool2d(self.act(self.second(x)), kernel_size=3, stride=2, ceil_mode=True)
        if self.training is None:
            x = x*torch.sigmoid(self.gate(F.adaptive_avg_pool2d(x, 1)))
        else:
            x = x + F.hardtanh(self.gate(x), 0., 3.)
        return self.head(x.mean((2, 3)))


class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.gate = nn.Conv2d(4, 4, 1)
        self.last = nn.Identity()
    def forward(self, x):
        x = self.first(x)
        return self.last(x*self.gate(F.adaptive_avg_pool2d(x, 1)).sigmoid())


def images(count=2, height=40, width=32, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, height, width, generator=rng)


def poisoned(model, batch, layer):
    "Say which units turn nan when a pixel is nan: (units, H, W) bool."
    height, width = batch.shape[2:]
    each = batch[:1].repeat(height*width, 1, 1, 1)
    each.flatten(2)[torch.arange(height*width), :, torch.arange(height*width)] = torch.nan
    return activations(model, each, layer, 256).isnan().any(1).flatten(1).T.reshape(-1, height, width).numpy()


NETWORKS = {
    "lite0": (lambda: lite0(False), ["blocks.0.0.conv_dw", "blocks.1.1"]),
    "resnet18": (torchvision.models.resnet18, ["layer1.1.bn2", "layer2.0.downsample.0", "layer2.0"]),
    "densenet121": (torchvision.models.densenet121, ["features.denseblock1.denselayer2"]),
    "googlenet": (
        lambda: torchvision.models.googlenet(init_weights=False, aux_logits=False),
        ["inception3a"],
    ),
    "vgg11": (torchvision.models.vgg11, ["features.5"]),
    "functions": (Inplace, ["act", "second", "gate"]),
    "squeezed": (Squeezed, ["first", "last"]),
    "same, even kernel": (lambda: nn.Sequential(
        nn.Conv2d(3, 2, 4, padding="same", dilation=2),
        nn.AvgPool2d(3, 2, 1),
    ), ["0", "1"]),
    "holes": (lambda: nn.Sequential(
        nn.Conv2d(3, 2, 1, 3),
        nn.MaxPool2d(2, 1, dilation=2),
        nn.AdaptiveAvgPool2d(5),
    ), ["0", "1", "2"]),
    "strides that differ": (lambda: nn.Sequential(
        nn.Conv2d(3, 2, (5, 1), (1, 3), (2, 0)),
        nn.BatchNorm2d(2),
        nn.SiLU(),
    ), ["2"]),
    "timm's Same pooling": (lambda: nn.Sequential(nn.Conv2d(3, 2, 1), MaxPool2dSame(3, 2)), ["1"]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_fields_are_what_poisoning_finds(name):
    make, layers = NETWORKS[name]
    torch.manual_seed(0)
    model = make()
    batch = images(1)
    for layer in layers:
        shape = activations(model, batch, layer).shape[2:]
        fields = receptive_fields(model, batch, layer, list(np.ndindex(*shape)))
        np.testing.assert_array_equal(fields, poisoned(model, batch, layer))
        unit = shape[0]//2, shape[1]//2
        field = receptive_fields(model, batch, layer)[0]
        outside, inside = masked_changes(model.double(), batch, layer, unit, field)
        assert outside == 0 < inside
        model.float()


def test_the_field_of_a_deep_layer_is_the_whole_picture():
    assert receptive_fields(torchvision.models.resnet18(), images(), "layer4").all()


def test_modes_hooks_and_weights_stay_as_they_were():
    model = Inplace().train()
    model.second.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    batch = images()
    kept = batch.clone()
    receptive_fields(model, batch, "gate")
    top_patches(model, batch, "gate", [0], 2)
    occlusion(model, batch, [0])
    maximise(model, "gate", [1], (3, 20, 20), steps=2)
    attribution(model, batch, [0, 1], "guided")
    shuffled(model, batch)
    with pytest.raises(ValueError): activations(model, batch[:, :1], "gate")
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(batch, kept, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_any_type_of_batch_and_model():
    model = Inplace().double()
    assert activations(model, images(), "head").dtype == torch.float64
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


def test_batch_normalisation_is_measured_anew():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    model[1].running_mean += 5
    batch = images(8)
    control = shuffled(model, batch)
    after = activations(control, batch, "0")
    torch.testing.assert_close(control[1].running_mean, after.mean((0, 2, 3)), rtol=1e-4, atol=1e-4)
    assert not torch.equal(control[0].weight, model[0].weight) and (model[1].running_mean == 5).all()
    part = shuffled(model, layers=["0"])
    assert torch.equal(part[1].weight, model[1].weight) and not torch.equal(part[0].weight, model[0].weight)


class DependsOnData(Inplace):
    def forward(self, x): return super().forward(x if x.sum() > 0 else -x)


LINEAR = nn.Sequential(nn.Flatten(), nn.Linear(3*40*32, 4))
CIRCULAR = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
BAD = {
    "no layer 'layer1.0.conv'; did you mean 'layer1.0.conv":
        lambda: activations(torchvision.models.resnet18(), images(), "layer1.0.conv"),
    "no layer 'xyz'; there are, for instance, first": lambda: find_layer(Inplace(), "xyz"),
    "no layer ''": lambda: find_layer(Inplace(), ""),
    "there are, for instance, none at all": lambda: find_layer(nn.ReLU(), "0"),
    "the layer 'unused' is not used": lambda: activations(Inplace(), images(), "unused"),
    "the model has no convolutions": lambda: convolutions(LINEAR),
    "no convolutions; its units": lambda: receptive_fields(LINEAR, images(), "1"),
    "no convolutions": lambda: top_patches(LINEAR, images(), "1", [0], 1),
    "has no convolutions;": lambda: maximise(LINEAR, "1", [0], (3, 40, 32)),
    "the layer 'head' gives (1, 5), no maps": lambda: receptive_fields(Inplace(), images(), "head"),
    "the layer 'head' gives (2, 5), no maps": lambda: top_patches(Inplace(), images(), "head", [0], 1),
    "cannot take images of shape (2, 1, 40, 32)": lambda: activations(Inplace(), images()[:, :1], "head"),
    "images is (3, 40, 32); give a batch": lambda: activations(Inplace(), images()[0], "head"),
    "images is ('str',)": lambda: activations(Inplace(), "cat.png", "head"),
    "images is (0, 3, 40, 32)": lambda: activations(Inplace(), images()[:0], "head"),
    "images holds torch.uint8; give floats": lambda: activations(Inplace(), images().byte(), "head"),
    "channels holds 4; the layer 'act' has 0 to 3":
        lambda: top_patches(Inplace(), images(), "act", [0, 4], 1),
    "channels holds -1": lambda: maximise(Inplace(), "act", [-1], (3, 20, 20)),
    "gives numbers that are not finite": lambda: top_patches(Inplace(), images()*torch.nan, "act", [0], 1),
    "count is 3; it takes 1 to the number of images, 2":
        lambda: top_patches(Inplace(), images(), "act", [0], 3),
    "count is 0": lambda: top_patches(Inplace(), images(), "act", [0], 0),
    "units holds (40, 0); the maps of 'act' have 40 rows and 32 columns":
        lambda: receptive_fields(Inplace(), images(), "act", [(40, 0)]),
    "units holds (0, -1)": lambda: receptive_fields(Inplace(), images(), "act", [(0, -1)]),
    "the model cannot be traced (": lambda: receptive_fields(DependsOnData(), images(), "act"),
    "no rule for GroupNorm":
        lambda: receptive_fields(nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4)), images(), "1"),
    "padding by 'circular' is not covered":
        lambda: receptive_fields(nn.Sequential(CIRCULAR), images(), "0"),
    "no rule for permute":
        lambda: receptive_fields(timm.create_model("convnext_atto"), images(), "stages.0.blocks.1.conv_dw"),
    "field is (2, 2); give one of (40, 32)":
        lambda: masked_changes(Inplace(), images(), "act", (0, 0), np.ones((2, 2), bool)),
    "pictures must be of one size": lambda: as_batch([], LITE0_STATS),
    "pictures must be of one size, and one at least":
        lambda: as_batch([Image.new("RGB", (2, 2)), Image.new("RGB", (2, 3))], LITE0_STATS),
    "one size, and": lambda: tiles({"small": Image.new("RGB", (8, 8))}, 16),
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
    "unit is (9, 0); the maps of 'second' have 9 rows":
        lambda: maximise(Inplace(), "second", [0], (3, 20, 20), unit=(9, 0)),
    "steps, lr and contrast must be more than 0":
        lambda: maximise(Inplace(), "second", [0], (3, 20, 20), steps=0),
    "no layer 'hed'; did you mean 'head'": lambda: shuffled(Inplace(), layers=["hed"]),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_gets_a_sentence(said):
    with pytest.raises(ValueError) as error: BAD[said]()
    assert said in str(error.value) and "\n" not in str(error.value), error.value


def test_boxes_of_a_field_with_holes():
    field = np.zeros((1, 9, 7), bool)
    field[0, 2:8:5, 1:6:4] = True
    assert boxes(field).tolist() == [[2, 1, 8, 6]]
