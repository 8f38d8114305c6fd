"""Exports as the trainers' own code reads them: every parameter gets the plan's values, also after its scheduler."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from tests.trainers.model import LanguageModel, Values, loaded, plan, values_in, values_of, written
from widthwise import Plan


@pytest.fixture(params=[False, True], ids=["untied", "tied"])
def of(request: pytest.FixtureRequest) -> Plan:
    return plan(tied=request.param)


def network(of: Plan, *, wrapped: bool = False) -> LanguageModel:
    model = LanguageModel(tied=any(tensor.tied_to for tensor in of.tensors))
    for at, layer in enumerate(model.layers):
        if wrapped:
            model.layers[at] = checkpoint_wrapper(layer)
    return model


def only(values: Values, *what: str) -> Values:
    return {key: value for key, value in values.items() if key[1] in what}


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "checkpointing"])
def test_torchtitan(of: Plan, wrapped: bool, tmp_path: Path) -> None:
    from torchtitan.components.optimizer import LRSchedulersContainer, OptimizersContainer

    module, model = loaded(of, "torchtitan", tmp_path), network(of, wrapped=wrapped)
    module.check(model)
    container = OptimizersContainer(module.optimizer_config(implementation="for-loop"), model_parts=[model])
    (optimizer,) = container.optimizers
    assert values_in(optimizer, model) == pytest.approx(values_of(of))
    LRSchedulersContainer(container, lr_lambda=lambda _: 0.5)
    assert values_in(optimizer, model) == pytest.approx(values_of(of, 0.5))
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.95)
    del model.layers[2]
    with pytest.raises(ValueError, match="group vector has 2 of 3"):
        module.check(model)


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "checkpointing"])
def test_automodel(of: Plan, wrapped: bool, tmp_path: Path) -> None:
    from nemo_automodel.components.optim.optimizer import LRSchedulerConfig, build_optimizer

    section = yaml.safe_load(written(of, "automodel", tmp_path).read_text(encoding="utf-8"))["optimizer"]
    model = network(of, wrapped=wrapped)
    (optimizer,) = build_optimizer(model, (section.pop("_target_"), section))
    steps = SimpleNamespace(epoch_len=None, max_steps=100)
    (scheduler,) = LRSchedulerConfig(lr_warmup_steps=0, lr_decay_style="linear", min_lr=0.0).build(optimizer, steps)
    wanted = only(values_of(of), "lr", "weight_decay")
    assert only(values_in(optimizer, model), "lr", "weight_decay") == pytest.approx(wanted)
    scheduler.step(50)
    halved = only(values_of(of, 0.5), "lr", "weight_decay")
    assert only(values_in(optimizer, model), "lr", "weight_decay") == pytest.approx(halved)
    assert type(optimizer) is torch.optim.AdamW


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_megatron(of: Plan, depth: int, tmp_path: Path, one_process: None) -> None:
    from megatron.core.optimizer import OptimizerConfig, _get_param_groups
    from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler

    module, inner = loaded(of, "megatron", tmp_path), network(of)
    model: Any = inner
    for _ in range(depth):  # Float16Module and DDP hold what they wrap as `module`
        outer = nn.Module()
        outer.module = model
        model = outer
    module.check([model])
    data = module.PLAN
    config = OptimizerConfig(optimizer="adam", lr=data["base_learning_rate"], weight_decay=data["weight_decay"])
    groups = _get_param_groups([model], config, module.config_overrides(min_lr_ratio=0.0))
    optimizer = torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay)
    scheduler = OptimizerParamScheduler(
        optimizer,
        init_lr=0.0,
        max_lr=config.lr,
        min_lr=0.0,
        lr_warmup_steps=0,
        lr_decay_steps=100,
        lr_decay_style="linear",
        start_wd=config.weight_decay,
        end_wd=config.weight_decay,
        wd_incr_steps=0,
        wd_incr_style="constant",
    )
    scheduler.step(0)
    assert values_in(optimizer, inner) == pytest.approx(values_of(of))
    scheduler.step(50)
    assert values_in(optimizer, inner) == pytest.approx(values_of(of, 0.5))


def test_olmo_core(of: Plan, tmp_path: Path) -> None:
    from olmo_core.exceptions import OLMoConfigurationError
    from olmo_core.optim import AdamWConfig, LinearWithWarmup

    module, model = loaded(of, "olmo_core", tmp_path), network(of)
    config = module.optim_config()
    optimizer = AdamWConfig.from_dict(config.as_config_dict()).build(model)
    module.check(optimizer)
    assert values_in(optimizer, model) == pytest.approx(values_of(of))
    scheduler = LinearWithWarmup(warmup=0, alpha_f=0.0)
    for group in optimizer.param_groups:
        group["lr"] = scheduler.get_lr(group["initial_lr"], 50, 100)
    assert values_in(optimizer, model) == pytest.approx(values_of(of, 0.5))
    before = optimizer.state_dict()
    for group in before["param_groups"]:  # a checkpoint of before, with another plan
        group.update(eps=1e-3, weight_decay=7.0, initial_lr=1.0)
    optimizer.load_state_dict(before)
    assert only(values_in(optimizer, model), "eps", "weight_decay") == pytest.approx(
        only(values_of(of), "eps", "weight_decay")
    )
    with pytest.raises(OLMoConfigurationError, match="does not match any"):
        config.build(nn.Linear(2, 2))


def test_optax(of: Plan, tmp_path: Path) -> None:
    import jax
    import jax.numpy as jnp
    import optax

    module, model = loaded(of, "optax", tmp_path), network(of)
    flat = {name: jnp.asarray(p.detach().numpy()) for name, p in model.named_parameters()}
    params: dict[str, Any] = {}
    for name, leaf in flat.items():
        *path, last = name.split(".")
        inner = params
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = leaf
    transform = optax.chain(optax.clip_by_global_norm(1e9), module.adamw(lambda step: 0.5 ** (step + 1)))
    gradients = jax.tree_util.tree_map(jnp.ones_like, params)
    updates, _ = transform.update(gradients, transform.init(params), params)
    wanted = values_of(of, 0.5)
    for keys, update in jax.tree_util.tree_leaves_with_path(updates):
        name = module.path_of(keys)
        rate, epsilon, decay = (wanted[name, what] for what in ("lr", "eps", "weight_decay"))
        expected = -rate * (1 / (1 + epsilon) + decay * flat[name])
        assert jnp.allclose(update, expected, rtol=1e-4)
    drawn = module.init(params, jax.random.key(0))
    stds = {tensor.name: tensor.init_std.value for tensor in of.tensors}
    assert float(drawn["layers"]["0"]["up"]["weight"].std()) == pytest.approx(stds["layers.0.up.weight"], rel=0.1)
    assert jnp.array_equal(drawn["norm"]["weight"], params["norm"]["weight"])
    del params["head" if "head" in params else "norm"]
    with pytest.raises(ValueError, match="of the plan's"):
        module.labels(params)


#: What fairseq2 imports and its optimizer's configuration does not use; its native half demands one build of PyTorch.
ABSENT = (
    *("fairseq2n", "torcheval", "torch.utils.tensorboard", "wandb", "tiktoken", "clusterscope", "importlib_resources"),
    *("sentencepiece", "sacrebleu", "mypy_extensions", "xxhash", "lazy_importer", "importlib_metadata", "blobfile"),
)


class StandIn:
    """A class that stands for any other."""

    def __class_getitem__(cls, item: object) -> type:
        return cls


def stand_in(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (StandIn,), {})


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules that have any class that is asked for."""

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        absent = any(f"{name}.".startswith(f"{each}.") for each in ABSENT)
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if absent else None

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = stand_in  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def fairseq2() -> Iterator[None]:
    """fairseq2 with stand-ins."""
    finder = StandIns()
    sys.meta_path.insert(0, finder)
    yield
    sys.meta_path.remove(finder)
    for name in [name for name in sys.modules if name.startswith(("fairseq2", *ABSENT))]:
        del sys.modules[name]


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "checkpointing"])
def test_fairseq2(of: Plan, wrapped: bool, tmp_path: Path, fairseq2: None) -> None:
    from fairseq2.recipe.config import AdamWConfig
    from fairseq2.recipe.optim import prepare_parameter_groups
    from fairseq2.utils.structured import StandardValueConverter
    from ruamel.yaml import YAML

    section = YAML(typ="safe").load(written(of, "fairseq2", tmp_path))["optimizer"]  # by which fairseq2 reads its files
    assert section["name"] == "adamw"
    config: Any = StandardValueConverter().structure(section["config"], AdamWConfig)
    model = network(of, wrapped=wrapped)
    groups: Any = prepare_parameter_groups(model, config.groups)
    optimizer = torch.optim.AdamW(groups, config.lr, config.betas, config.eps, config.weight_decay)
    assert values_in(optimizer, model) == pytest.approx(values_of(of))
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.5)
    assert values_in(optimizer, model) == pytest.approx(values_of(of, 0.5))
