"Receptive fields as claimed, compared with gradients and with `nan`, on toys and networks."
import random

import numpy as np
import pytest
import timm
import torch
import torchvision
from mark1.channels import activations, find_layer
from mark1.fields import receptive_fields
from torch import nn
from torch.nn import functional as F
from toy_networks import assert_refused, images


class Toy(nn.Module):
    "A convolution, an operation of one's own, and what comes after it."
    def __init__(self, operation, before=4, after=None):
        super().__init__()
        self.first = nn.Conv2d(3, before, 3, padding=1)
        self.operation = operation
        self.last = after or nn.Identity()
    def forward(self, x): return self.last(self.operation(self.first(x)))


def scaled(model, seed=0):
    "Make a network's numbers neither zero nor huge, and double, so that gradients show what depends on what."
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    for name, parameter in model.named_parameters():
        draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        several = parameter.ndim > 1
        parameter.data = draw/parameter[0].numel()**.5 if several else .5 + draw.sigmoid()
    return model.requires_grad_(False)


def by_gradient(model, batch, layer, unit):
    "Find pixels from which a unit's gradient comes, over some pictures: (H, W) bool. It may miss some."
    batch = batch.double().requires_grad_()
    kept = []
    handle = find_layer(model, layer).register_forward_hook(lambda module, given, found: kept.append(found))
    try: model(batch)
    finally: handle.remove()
    found = kept[0][:, :, unit[0], unit[1]]
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradient, = torch.autograd.grad((found*weights).sum(), batch)
    return (gradient != 0).any(0).any(0).numpy()


def turns_nan(model, batch, layer, unit, pixels):
    "Say for each of some pixels whether the unit turns `nan` when the pixel does."
    each = batch[:1].double().repeat(len(pixels), 1, 1, 1)
    for picture, (row, column) in zip(each, pixels): picture[:, row, column] = torch.nan
    return activations(model, each, layer)[:, :, unit[0], unit[1]].isnan().any(1).numpy()


def assert_true_field(model, batch, layer, unit, claimed, probes, seed=0):
    "Check a claimed field: no gradient outside it, and inside it gradient, or `nan` comes through."
    found = by_gradient(model, batch, layer, unit)
    assert not (found & ~claimed).any(), f"{layer}: {(found & ~claimed).sum()} pixels are missing"
    silent = np.argwhere(claimed & ~found)
    some = np.random.default_rng(seed).permutation(silent)[:probes]
    if len(some): assert turns_nan(model, batch, layer, unit, some).all(), f"{layer}: too large"


def attention(x):
    places = x.flatten(2).transpose(1, 2) # (N, places, channels)
    mixed = (places @ places.transpose(1, 2)).softmax(-1) @ places
    return mixed.transpose(1, 2).reshape(x.shape)


def own_activation(x): return x*torch.tanh(F.softplus(x)) + .1*torch.sin(3*x).abs().sqrt()


def pick(x): return x[:, :, ::2, [0, 5, 2, 3]]


def half_rows(x, cut): return torch.cat([part + 1 for part in cut(x)], 2)


MOVES = {
    "split, a branch dropped": lambda x: x.split(2, 1)[0],
    "split along the rows": lambda x: half_rows(x, lambda x: x.split(3, 2)),
    "chunk": lambda x: torch.cat([half.flip(3)*2 for half in x.chunk(2, 1)], 1),
    "unbind": lambda x: torch.stack([channel.roll(3, 1) for channel in x.unbind(1)][:2], 1),
    "concatenation along the rows": lambda x: torch.cat([x, x[:, :, :2]], 2),
    "concatenation along the columns": lambda x: torch.cat([x.flip(3), x], 3),
    "flatten and back": lambda x: x.flatten(2).view(x.shape),
    "reshape across rows": lambda x: x.reshape(1 if len(x) == 1 else -1, 4, 6, 16),
    "permute": lambda x: x.permute(0, 1, 3, 2),
    "indexing": pick,
    "slicing": lambda x: x[:, 1:3, 2:, :-3],
    "a line set to zero": lambda x: F.pad(x[:, :, 1:], (0, 0, 1, 0)),
    "written in place": lambda x: x.clone().index_fill_(2, torch.tensor([4]), 0.),
    "pad": lambda x: F.pad(x, (3, 0, 0, 2)),
    "pad by reflection": lambda x: F.pad(x, (2, 2, 2, 2), mode="reflect"),
    "pad by repetition": lambda x: F.pad(x, (2, 2, 2, 2), mode="replicate"),
    "roll": lambda x: x.roll((2, -3), (2, 3)),
    "pixel shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "windows as a grid": lambda x: x.unflatten(3, (4, 2)).unflatten(2, (6, 2)).transpose(3, 4).reshape(
        x.shape[0], 4, 12, 8),
    "channel shuffle": lambda x: F.channel_shuffle(x, 2)[:, :1],
    "expand": lambda x: x[:, :, :1].expand_as(x),
    "repeat": lambda x: x.repeat_interleave(2, 3),
    "a fixed choice": lambda x: torch.where(torch.arange(8) % 2 == 0, x, x.flip(2)),
    "unfold": lambda x: F.unfold(x, 3, padding=1).view(x.shape[0], 36, 12, 8),
}
MIXES = {
    "mean over channels": lambda x: x.mean(1, keepdim=True)*x,
    "mean over rows": lambda x: x - x.mean(2, keepdim=True),
    "mean over everything": lambda x: x*x.mean((1, 2, 3), keepdim=True),
    "greatest over channels": lambda x: x.amax(1, keepdim=True) + x.max(1, keepdim=True)[0],
    "softmax over channels": lambda x: x.softmax(1),
    "softmax over columns": lambda x: x.softmax(3),
    "softmax over space": lambda x: x.flatten(2).softmax(2).view(x.shape),
    "running sum": lambda x: x.cumsum(3),
    "running product": lambda x: x.cumprod(2),
    "mean over everything, channels last": lambda x: x*F.adaptive_avg_pool2d(
        x.contiguous(memory_format=torch.channels_last), 1),
    "sort": lambda x: x.sort(3)[0],
    "the highest two": lambda x: x.topk(2, 2)[0],
    "standard deviation": lambda x: x/x.std((2, 3), keepdim=True),
    "length over channels": lambda x: F.normalize(x, dim=1),
    "layer normalisation": lambda x: F.layer_norm(x, x.shape[2:]),
    "layer normalisation over channels":
        lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2),
    "group normalisation": lambda x: F.group_norm(x[:, :, :, :4], 2),
    "instance normalisation": lambda x: F.instance_norm(x)[:, :2],
    "batch normalisation without stored statistics": lambda x: F.batch_norm(x, None, None, training=True),
    "local response normalisation": lambda x: F.local_response_norm(x, 3),
    "attention over places": attention,
    "attention in one call": lambda x: F.scaled_dot_product_attention(x, x.flip(2), x),
    "product along columns": lambda x: x @ x.transpose(2, 3) @ x,
    "a sum in indices": lambda x: torch.einsum("nchw,nchv->ncwv", x, x),
    "linear over columns": nn.Linear(8, 8).double(),
}
WINDOWS = {
    "interpolate, nearest": lambda x: F.interpolate(x, scale_factor=2),
    "interpolate, bilinear": lambda x: F.interpolate(x, (20, 5), mode="bilinear"),
    "interpolate, bicubic": lambda x: F.interpolate(x, scale_factor=1.5, mode="bicubic", align_corners=True),
    "transposed convolution": nn.ConvTranspose2d(4, 2, 3, 2, 1, 1, groups=2).double(),
    "dilated, grouped": nn.Conv2d(4, 4, 3, dilation=2, groups=4, padding="same").double(),
    "mean of windows": lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, (5, 3)),
    "adaptive, greatest": lambda x: F.adaptive_max_pool2d(x, (5, 3)),
    "convolution over channels": lambda x: F.conv1d(
        x.mean((2, 3))[:, None], torch.ones(1, 1, 3, dtype=x.dtype), padding=1).transpose(1, 2)[..., None]*x,
}
ALONE = {
    "an activation of one's own": own_activation,
    "prelu": nn.PReLU(4).double(),
    "threshold": nn.Threshold(.1, 20.),
    "hardswish": F.hardswish,
    "mish": F.mish,
    "celu": F.celu,
    "logsigmoid": F.logsigmoid,
    "hardshrink": F.hardshrink,
    "gated": lambda x: x[:, :2]*x[:, 2:].sigmoid(),
    "a choice by sign": lambda x: torch.where(x > 0, x, .1*x.exp()),
}
TOYS = MOVES | MIXES | WINDOWS | ALONE


@pytest.mark.parametrize("name", TOYS)
def test_each_operation_is_followed_exactly(name):
    model = scaled(Toy(TOYS[name]), seed=1)
    batch = images(4, 12, 8)
    if name == "reshape across rows": batch = batch[:1]
    rows, columns = activations(model, batch.double(), "last").shape[2:]
    units = [(0, 0), (rows//2, columns//3), (rows - 1, columns - 1)]
    for unit, claimed in zip(units, receptive_fields(model, batch, "last", units)):
        assert_true_field(model, batch, "last", unit, claimed, probes=96) # all of the picture


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(context, x): return x*2
    @staticmethod
    def backward(context, slope): return slope*2


def test_a_function_with_its_own_gradient_is_looked_into():
    field = receptive_fields(Toy(Doubled.apply), images(1, 12, 8), "last", [(5, 5)])[0]
    assert field.sum() == 9


def test_a_tuple_on_the_way_loses_nothing():
    "The branch through `split` sees 7 × 7 pixels; the direct one 3 × 3."
    wide = nn.Conv2d(2, 4, 5, padding=2)
    model = Toy(lambda x: x + wide(x.split(2, 1)[1]))
    assert receptive_fields(model, images(1, 20, 20), "last", [(10, 10)])[0].sum() == 49


@pytest.mark.parametrize("name, operation", {
    "grid_sampler_2d": lambda x: F.grid_sample(x, torch.zeros(len(x), 4, 4, 2, dtype=x.dtype)),
    "col2im": lambda x: F.fold(F.unfold(x, 3), (12, 8), 3),
    "index": lambda x: x[:, :, x[0, 0, :, 0].argsort()],
    "_fft_r2c": lambda x: torch.fft.rfft2(x).abs(),
    "masked_fill with minus infinity": lambda x: x.masked_fill(x > 0, -torch.inf).softmax(3),
    "convolution with weights made from the picture": lambda x: F.conv2d(x, x[:1, :, :3, :3]),
    "copy_": lambda x: F.pad(x, (1, 1, 1, 1), mode="circular"),
}.items())
def test_what_has_no_rule_is_refused_by_name(name, operation):
    assert_refused(lambda: receptive_fields(Toy(operation), images(1, 12, 8), "last"), f"no rule for {name}")


def test_numbers_that_leave_pytorch_are_refused():
    for operation in (lambda x: x + torch.from_numpy(x.numpy()[..., ::-1].copy()),
                      lambda x: x*max(x.flatten().tolist())):
        assert_refused(lambda: receptive_fields(Toy(operation), images(1, 12, 8), "last"),
                       "computed outside of PyTorch")


def test_units_of_a_layer_that_passes_pictures_on_see_their_pixel():
    model = nn.Sequential(nn.Identity(), nn.Conv2d(3, 4, 3))
    field, = receptive_fields(model, images(1, 12, 8), "0", [(5, 5)])
    assert field.sum() == 1 and field[5, 5]


def test_a_unit_that_sees_padding_alone():
    field, = receptive_fields(Toy(lambda x: F.pad(x, (3, 3))), images(1, 12, 8), "last", [(5, 0)])
    assert not field.any()


def test_what_does_not_depend_on_the_picture():
    said = "'last' does not depend on the images"
    assert_refused(lambda: receptive_fields(Toy(torch.zeros_like), images(1, 12, 8), "last"), said)


FEW = ["convnext_atto", "resnet10t", "lcnet_050"]
MANY = """
    bat_resnext26ts botnet26t_256 cspresnet50 cs3darknet_focus_s densenet121 dla34 dla46_c edgenext_xx_small
    efficientnet_b0 efficientnet_lite0 efficientvit_b0 efficientvit_m0 eca_botnext26ts_256 ecaresnet26t
    fastvit_t8 fbnetc_100 gernet_s ghostnetv2_100 halonet26t hardcorenas_a hrnet_w18_small
    inception_next_atto lambda_resnet26t lcnet_050 legacy_seresnet18 levit_128s mambaout_femto mixnet_s
    mnasnet_small mobilenetv2_050 mobilenetv4_conv_small mobileone_s0 mobilevit_xxs mobilevitv2_050
    nf_regnet_b0 nfnet_f0 poolformerv2_s12 pvt_v2_b0 regnety_002 repghostnet_050 repvgg_a0 repvit_m0_9
    res2net50_14w_8s resnest14d resnet18 resnet26d resnetv2_50 resnext26ts rexnet_100 selecsls42
    semnasnet_075 seresnext26d_32x4d skresnet18 starnet_s1 swin_tiny_patch4_window7_224
    tf_efficientnet_lite0 tf_mobilenetv3_small_minimal_100 tiny_vit_5m_224 tresnet_m vgg11_bn
    vit_tiny_patch16_224 vovnet39a xcit_nano_12_p16_224 alexnet googlenet inception_v3 maxvit_t mnasnet0_5
    shufflenet_v2_x0_5 squeezenet1_1 swin_v2_t
""".split()


def maps_of(model, batch):
    "List the layers that give maps, with their rows and columns."
    shapes, handles = {}, []
    for key, module in model.named_modules():
        def keep(module, given, found, key=key): shapes.setdefault(key, getattr(found, "shape", ()))
        if key: handles.append(module.register_forward_hook(keep))
    with torch.no_grad(): model(batch[:1].double())
    for handle in handles: handle.remove()
    return {key: shape[2:] for key, shape in shapes.items() if len(shape) == 4 and min(shape) > 0}


def verdicts(name, seed, count):
    """Build a network without weights, draw a size, layers and units, and check each field.

    Returns 'exact' for each, or by which words it was refused.
    """
    chance = random.Random(f"{name} {seed}")
    if name in timm.list_models(): model = timm.create_model(name)
    else: model = torchvision.models.get_model(name, weights=None)
    scaled(model, seed)
    sides = [32*chance.randint(1, 2) for _ in range(2)]
    try: shapes = maps_of(model, batch := images(2, *sides, seed))
    except (RuntimeError, AssertionError, ValueError, IndexError, TypeError): # it takes one size only
        side = getattr(model, "default_cfg", {}).get("input_size", [224])[-1]
        shapes = maps_of(model, batch := images(2, side, side, seed))
    said = []
    for layer in chance.sample(sorted(shapes), min(count, len(shapes))):
        unit = tuple(chance.randrange(side) for side in shapes[layer])
        try: claimed, = receptive_fields(model, batch, layer, [unit])
        except ValueError as error:
            refusals = "there is no rule for", "the model cannot be traced", "does not depend on the images"
            assert any(words in str(error) for words in refusals), error
            said.append(str(error).split(";")[0].split(" (")[0])
        else:
            assert_true_field(model, batch, layer, unit, claimed, probes=4)
            said.append("exact")
    return said


@pytest.mark.parametrize("name", FEW)
def test_fields_of_networks_are_true(name):
    assert verdicts(name, 0, 1) == ["exact"]


@pytest.mark.slow
@pytest.mark.parametrize("name", MANY)
def test_fields_of_many_networks_are_true(name, record_property):
    said = verdicts(name, 1, 5)
    record_property("fields", ", ".join(said))
    print(name, said)
