"""Initial weights that are the same bits on every machine."""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lib.data.normal_draws import inverse_erf, midpoint_draws, normal_draws

ATEN = torch.ops.aten


class ExactInit(TorchDispatchMode):
    """Inside, the random fills of initialisers come from ``lib.data.normal_draws``: each call of one takes
    the next index, so the distributions and variances stay those that the model's code asks for.

    torch's own fills of normal numbers, and timm's truncated ones (uniform, then erf⁻¹), differ in
    their last bits between processors.

    Args:
        seed: any integer.

    Raises:
        TypeError: inside, on a random operation that has no exact counterpart here.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.seed, self.calls = seed, 0

    def _next(self, source, count: int, **options) -> Tensor:
        self.calls += 1
        return source(torch.tensor([self.calls]), count, self.seed, **options)

    def _uniform(self, x: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
        u = self._next(midpoint_draws, x.numel(), bits=23).reshape(x.shape)
        return x.copy_(low + (high - low) * u)

    def _normal(self, x: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
        return x.copy_(mean + std * self._next(normal_draws, x.numel()).reshape(x.shape))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is ATEN.uniform_.default:
            return self._uniform(args[0], *args[1:])
        if func is ATEN.normal_.default:
            return self._normal(args[0], *args[1:])
        if func is ATEN.erfinv_.default:
            return args[0].copy_(torch.from_numpy(inverse_erf(args[0].double().numpy())))
        if func in (ATEN.rand.default, ATEN.randn.default):
            fill = self._uniform if func is ATEN.rand.default else self._normal
            return fill(torch.empty(*args, **kwargs))
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise TypeError(f"no exact draw stands for {func}, which a model's initialiser calls")
        return func(*args, **kwargs)
