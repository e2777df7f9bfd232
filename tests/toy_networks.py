"What the tests of the chapters 07 share: small networks, a batch for them, and two checks."
from contextlib import contextmanager

import pytest
import torch
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


def images(count=2, height=40, width=32, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, height, width, generator=rng)


LINEAR = nn.Sequential(nn.Flatten(), nn.Linear(3*40*32, 4))


@contextmanager
def unchanged(model, batch):
    "Check that the body of a `with` leaves modes, hooks, weights, gradients and images as they were."
    model.second.eval() # one layer in another mode than the rest
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    kept = batch.clone()
    yield
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(batch, kept, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in model.parameters())


def assert_refused(call, said):
    "Check that a call raises `ValueError` with a message of one line that holds what is `said`."
    with pytest.raises(ValueError) as error: call()
    assert said in str(error.value) and "\n" not in str(error.value), error.value
