"The chapter on layers, on other networks than its own, and what it says to bad input."
import numpy as np
import pytest
import torch
import torchvision
from mark1.channels import activations, convolutions, find_layer
from mark1.data.networks import LITE0_STATS, lite0
from mark1.data.pictures import as_batch
from mark1.fields import boxes, masked_changes, receptive_fields
from mark1.layers import shuffled, tiles, top_patches
from PIL import Image
from timm.layers.pool2d_same import MaxPool2dSame
from torch import nn
from torch.nn import functional as F
from toy_networks import LINEAR, Inplace, assert_refused, images, unchanged


class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.gate = nn.Conv2d(4, 4, 1)
        self.last = nn.Identity()
    def forward(self, x):
        x = self.first(x)
        return self.last(x*self.gate(F.adaptive_avg_pool2d(x, 1)).sigmoid())


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


def test_modes_hooks_weights_and_images_stay_as_they_were():
    model, batch = Inplace().train(), images()
    with unchanged(model, batch):
        receptive_fields(model, batch, "gate")
        top_patches(model, batch, "gate", [0], 2)
        shuffled(model, batch)
        with pytest.raises(ValueError): activations(model, batch[:, :1], "gate")


def test_the_batch_takes_the_type_of_the_model():
    assert activations(Inplace().double(), images(), "head").dtype == torch.float64


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


CIRCULAR = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
BAD = {
    "no layer 'layer1.0.conv'; did you mean 'layer1.0.conv":
        lambda: activations(torchvision.models.resnet18(), images(), "layer1.0.conv"),
    "no layer 'xyz'; there are, for instance, first, second": lambda: find_layer(Inplace(), "xyz"),
    "no layer ''": lambda: find_layer(Inplace(), ""),
    "there are, for instance, none at all": lambda: find_layer(nn.ReLU(), "0"),
    "the layer 'unused' is not used": lambda: activations(Inplace(), images(), "unused"),
    "the model has no convolutions": lambda: convolutions(LINEAR),
    "no convolutions; its units": lambda: receptive_fields(LINEAR, images(), "1"),
    "no convolutions": lambda: top_patches(LINEAR, images(), "1", [0], 1),
    "the layer 'head' gives (1, 5), no maps": lambda: receptive_fields(Inplace(), images(), "head"),
    "the layer 'head' gives (2, 5), no maps": lambda: top_patches(Inplace(), images(), "head", [0], 1),
    "cannot take images of shape (2, 1, 40, 32)": lambda: activations(Inplace(), images()[:, :1], "head"),
    "images is (3, 40, 32); give a batch": lambda: activations(Inplace(), images()[0], "head"),
    "images is ('str',)": lambda: activations(Inplace(), "cat.png", "head"),
    "images is (0, 3, 40, 32)": lambda: activations(Inplace(), images()[:0], "head"),
    "images holds torch.uint8; give floats": lambda: activations(Inplace(), images().byte(), "head"),
    "channels holds 4; the layer 'act' has 0 to 3":
        lambda: top_patches(Inplace(), images(), "act", [0, 4], 1),
    "gives numbers that are not finite": lambda: top_patches(Inplace(), images()*torch.nan, "act", [0], 1),
    "count is 3; it takes 1 to the number of images, 2":
        lambda: top_patches(Inplace(), images(), "act", [0], 3),
    "count is 0": lambda: top_patches(Inplace(), images(), "act", [0], 0),
    "units holds (40, 0); the maps of 'act' have 40 rows and 32 columns":
        lambda: receptive_fields(Inplace(), images(), "act", [(40, 0)]),
    "units holds (0, -1)": lambda: receptive_fields(Inplace(), images(), "act", [(0, -1)]),
    "the model cannot be traced (": lambda: receptive_fields(DependsOnData(), images(), "act"),
    "no rule for copy_": lambda: receptive_fields(nn.Sequential(CIRCULAR), images(), "0"),
    "field is (2, 2); give one of (40, 32)":
        lambda: masked_changes(Inplace(), images(), "act", (0, 0), np.ones((2, 2), bool)),
    "pictures must be of one size": lambda: as_batch([], LITE0_STATS),
    "pictures must be of one size, and one at least":
        lambda: as_batch([Image.new("RGB", (2, 2)), Image.new("RGB", (2, 3))], LITE0_STATS),
    "one size, and": lambda: tiles({"small": Image.new("RGB", (8, 8))}, 16),
    "no layer 'hed'; did you mean 'head'": lambda: shuffled(Inplace(), layers=["hed"]),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_gets_a_sentence(said):
    assert_refused(BAD[said], said)


def test_boxes_of_a_field_with_holes():
    field = np.zeros((1, 9, 7), bool)
    field[0, 2:8:5, 1:6:4] = True
    assert boxes(field).tolist() == [[2, 1, 8, 6]]
