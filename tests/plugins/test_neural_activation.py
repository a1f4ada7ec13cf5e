"""tanh of large arrays by the sigmoid: the same numbers, and derivatives of all orders."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mesocosm_neural import activation


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_of_large_arrays_is_tanh(dtype: torch.dtype) -> None:
    """Catches digits lost to the sigmoid, and infinities far out: at most 4 units in the last place of 1."""
    values = torch.linspace(-100, 100, activation.LARGE, dtype=dtype).view(1, -1, 4)
    got = activation.tanh(values)
    assert float((got - values.tanh()).abs().max()) <= 4 * torch.finfo(dtype).eps
    assert float((activation.tanh(values / 100) - (values / 100).tanh()).abs().max()) <= 4 * torch.finfo(dtype).eps


def test_tanh_of_large_arrays_has_all_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a wrong derivative, and one that cannot be differentiated again, as Milstein's term and curvatures need."""
    monkeypatch.setattr(activation, "LARGE", 1)
    values = torch.linspace(-2, 2, 12, dtype=torch.float64).view(1, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(activation.tanh, values)
    assert torch.autograd.gradgradcheck(activation.tanh, values)
    wanted = torch.func.jacrev(torch.tanh)(values.detach())
    np.testing.assert_allclose(torch.func.jacrev(activation.tanh)(values.detach()), wanted, rtol=1e-12, atol=1e-15)
