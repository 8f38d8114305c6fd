"""The modules for PyTorch loops, Hugging Face's Trainer and Lightning, run by PyTorch and these libraries."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from tests.trainers.model import LanguageModel, batch, loaded, plan, values_in, values_of
from widthwise import Plan


@pytest.fixture(params=[False, True], ids=["untied", "tied"])
def of(request: pytest.FixtureRequest) -> Plan:
    return plan(tied=request.param)


def is_tied(of: Plan) -> bool:
    return any(tensor.tied_to for tensor in of.tensors)


def test_every_parameter_has_the_plans_values(of: Plan, tmp_path: Path) -> None:
    module, model = loaded(of, "torch", tmp_path), LanguageModel(tied=is_tied(of))
    module.multiply_(model)
    optimizer = module.optimizer(model, betas=(0.9, 0.95))
    assert values_in(optimizer, model) == pytest.approx(values_of(of))
    assert type(optimizer) is torch.optim.AdamW


def test_the_first_step_of_each_parameter_is_the_plans_rate(of: Plan, tmp_path: Path) -> None:
    plain = plan(tied=is_tied(of), weight_decay=0.0, epsilon=1e-30)
    module, model = loaded(plain, "torch", tmp_path), LanguageModel(tied=is_tied(of))
    module.multiply_(model)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = module.optimizer(model)
    model(**batch())["loss"].backward()
    optimizer.step()
    for name, parameter in model.named_parameters():
        moved = (parameter.detach() - before[name]).abs()
        assert float(moved.max()) == pytest.approx(values_of(plain)[name, "lr"], rel=1e-3)


def test_init_and_multipliers_are_the_plans(of: Plan, tmp_path: Path) -> None:
    module, model = loaded(of, "torch", tmp_path), LanguageModel(tied=is_tied(of))
    ids = batch()["input_ids"]
    model.double()
    module.init_(model, torch.Generator().manual_seed(1))
    for tensor in of.tensors:
        if tensor.tied_to is None and tensor.role != "vector":
            found = model.get_parameter(tensor.name)
            assert float(found.detach().std()) == pytest.approx(tensor.init_std.value, rel=0.25)
    embedded = model.embed(ids)
    hidden = torch.ones(1, 16, dtype=torch.float64)
    logits = model.head(hidden)
    module.multiply_(model)
    factors = {tensor.name: tensor.forward_multiplier.multiplier for tensor in of.tensors}
    assert torch.allclose(model.embed(ids), embedded * factors["embed.weight"])
    assert torch.allclose(model.head(hidden), logits * factors["head.weight"])
    with pytest.raises(ValueError, match="has its multiplier already"):
        module.multiply_(model)


def test_what_the_plan_and_the_model_do_not_share_is_refused(of: Plan, tmp_path: Path) -> None:
    module, model = loaded(of, "torch", tmp_path), LanguageModel(tied=is_tied(of))
    with pytest.raises(ValueError, match="forward multipliers are applied; call multiply_"):
        module.param_groups(model)
    module.multiply_(model)
    model.extra = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"no values for 2 parameters: extra\.weight, extra\.bias"):
        module.param_groups(model)
    del model.extra, model.layers[2]
    with pytest.raises(ValueError, match=r"hidden: 8 of 12"):
        module.param_groups(model)
    assert len(module.param_groups(model, whole=False)) == len(module.PLAN["groups"])


def test_a_changed_file_is_refused(of: Plan, tmp_path: Path) -> None:
    loaded(of, "torch", tmp_path)
    path = tmp_path / "widthwise_torch.py"
    path.write_text(path.read_text(encoding="utf-8").replace("'lr': 0.00075", "'lr': 0.00085"), encoding="utf-8")
    with pytest.raises(ImportError, match="PLAN was changed"):
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {"__name__": "changed"})  # noqa: S102


def test_wrappers_do_not_change_a_group(of: Plan, tmp_path: Path) -> None:
    module, model = loaded(of, "torch", tmp_path), LanguageModel(tied=is_tied(of))
    module.multiply_(model)
    for at, layer in enumerate(model.layers):
        model.layers[at] = checkpoint_wrapper(layer)
    assert values_in(module.optimizer(torch.compile(model)), model) == pytest.approx(values_of(of))


def test_hugging_face_trains_with_the_plan(of: Plan, tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    module, model = loaded(of, "hf_trainer", tmp_path), LanguageModel(tied=is_tied(of))
    module.init_(model)
    module.multiply_(model)
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=4,
        per_device_train_batch_size=2,
        lr_scheduler_type="linear",
        warmup_steps=0,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        logging_steps=100,
    )
    rows = [{"input_ids": ids, "labels": ids} for ids in batch()["input_ids"]]
    trainer = Trainer(
        model, arguments, train_dataset=rows, optimizer_cls_and_kwargs=(module.Factory, {"betas": (0.9, 0.95)})
    )
    seen: list[dict[str, Any]] = []
    trainer.create_optimizer_and_scheduler(4)
    step = trainer.optimizer.step

    def watched(*words: Any, **options: Any) -> Any:
        seen.append(values_in(trainer.optimizer, model))
        return step(*words, **options)

    trainer.optimizer.step = watched
    trainer.train()
    assert seen[0] == pytest.approx(values_of(of))
    assert seen[1] == pytest.approx(values_of(of, 0.75))  # the scheduler multiplies
    assert trainer.optimizer.defaults["lr"] == pytest.approx(0.003)


def test_lightning_trains_with_the_plan(of: Plan, tmp_path: Path) -> None:
    import lightning

    module, network = loaded(of, "lightning", tmp_path), LanguageModel(tied=is_tied(of))
    module.init_(network)
    module.multiply_(network)
    seen: list[Any] = []

    class Task(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network

        def training_step(self, batch: Any) -> Any:
            seen.append(values_in(self.optimizers().optimizer, network))
            return self.model(**batch)["loss"]

        def configure_optimizers(self) -> Any:
            return module.configure_optimizers(self.model, lambda step: 1 / (1 + step))

    rows = [{"input_ids": ids, "labels": ids} for ids in batch()["input_ids"]]
    trainer = lightning.Trainer(
        max_steps=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[],
    )
    trainer.fit(Task(), torch.utils.data.DataLoader(rows, batch_size=2))
    assert seen[0] == pytest.approx(values_of(of))
    assert seen[1] == pytest.approx(values_of(of, 0.5))
