"""Adam-atan2: Adam's update without epsilon, which no width has to scale."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from widthwise.errors import InvalidInputError


class AdamAtan2(torch.optim.Optimizer):
    """Adam with the update a·atan2(m̂, b·√v̂) instead of m̂/(√v̂ + ε), and decoupled weight decay: W ← W − ηλW.

    Both moments are bias-corrected inside the atan2 (Everett et al. 2024, 2407.05872, section 4.3, with a = b = 1). An
    update lies within ±a·π/2, is 0 where both moments are 0, and does not change if all gradients are multiplied by one
    positive number. It is Adam's own while m̂/√v̂ is small; where m̂ = √v̂, as in the first step, it is a·π/4.

    lr: η. betas: decays of the moments. a, b: > 0. weight_decay: λ.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        a: float = 1.0,
        b: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        for name, value, is_right in (
            ("lr", lr, lr >= 0),
            ("betas", betas, all(0 <= beta < 1 for beta in betas)),
            ("a", a, a > 0),
            ("b", b, b > 0),
            ("weight_decay", weight_decay, weight_decay >= 0),
        ):
            if not is_right:
                raise InvalidInputError(
                    f"{name} is {value}; lr and weight_decay are at least 0, betas in [0, 1), a and b above 0",
                    field=name,
                )
        super().__init__(params, {"lr": lr, "betas": betas, "a": a, "b": b, "weight_decay": weight_decay})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step. closure: computes the loss again, with gradients; its loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        by_steps: dict[int, list[Any]] = {}
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            if parameter.grad.is_sparse:
                raise InvalidInputError("Adam-atan2 needs dense gradients; use sparse=False", field="params")
            state = self.state[parameter]
            if not state:
                state["step"] = 0
                state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["step"] += 1
            by_steps.setdefault(int(state["step"]), []).append(parameter)
        for steps, parameters in by_steps.items():
            self._update(group, steps, parameters)

    def _update(self, group: dict[str, Any], steps: int, parameters: list[Any]) -> None:
        """Move parameters that have made equally many steps, each operator over all of them at once."""
        beta1, beta2 = group["betas"]
        gradients = [parameter.grad for parameter in parameters]
        mu = [self.state[parameter]["exp_avg"] for parameter in parameters]
        nu = [self.state[parameter]["exp_avg_sq"] for parameter in parameters]
        torch._foreach_lerp_(mu, gradients, 1 - beta1)
        torch._foreach_mul_(nu, beta2)
        torch._foreach_addcmul_(nu, gradients, gradients, 1 - beta2)
        below = torch._foreach_sqrt(nu)
        # both corrections in one: atan2 is the same if both of its arguments are multiplied by 1 − β₁ᵗ
        torch._foreach_mul_(below, group["b"] * (1 - beta1**steps) / (1 - beta2**steps) ** 0.5)
        updates = [torch.atan2(m, v) for m, v in zip(mu, below, strict=True)]
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, updates, alpha=-group["lr"] * group["a"])
