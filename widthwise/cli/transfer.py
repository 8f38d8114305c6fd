"""`widthwise transfer`: the plan for a larger model, on this machine or from a service."""

from pathlib import Path
from typing import Annotated, Any

import typer

from widthwise.cli import console, drawing, options, words
from widthwise.cli.models import model_part
from widthwise.cli.plans import show_plan
from widthwise.explained import listed
from widthwise.theory.optimizers import default_decay_modes
from widthwise.transfers.digest import with_digest
from widthwise.transfers.request import TransferRequest
from widthwise.transfers.transfer import plan_of
from widthwise.vocabulary import AlignmentName, Form, Layout, Optimizer, Parameterization, WeightDecayMode

_SETTING, _BASE, _WHENCE, _OUTPUT = options.SETTING, "Base and target", "Where the exponents come from", "Output"
_BY_ROLE = "one number, or ROLE=NUMBER once for each role"


def transfer(
    *,
    request: Annotated[
        str | None,
        typer.Argument(help="JSON file in the shape of POST /v1/transfers, or - for standard input.", metavar="FILE"),
    ] = None,
    parameterization: Annotated[Parameterization | None, options.parameterization()] = None,
    optimizer: Annotated[Optimizer | None, options.optimizer()] = None,
    alignment: Annotated[
        AlignmentName | None,
        options.alignment("How updates align with activations (full unless given; measured ones go in the file)."),
    ] = None,
    readout_omega: Annotated[float | None, options.readout_omega()] = None,
    form: Annotated[Form | None, options.form()] = None,
    weight_decay_mode: Annotated[
        WeightDecayMode | None,
        options.word(
            WeightDecayMode,
            f"How the trainer applies λ ({default_decay_modes()}, unless given). {listed(WeightDecayMode)}.",
            panel=_SETTING,
        ),
    ] = None,
    base_width: Annotated[
        int | None, typer.Option(min=1, help="Width of the tuned model.", rich_help_panel=_BASE)
    ] = None,
    target_width: Annotated[
        int | None, typer.Option(min=1, help="Width of the model to train.", rich_help_panel=_BASE)
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=BASE:TARGET",
            help="Another size at both ends: depth, batch_tokens, tokens, head_dim, output_dimension, experts, "
            "active_experts, shared_experts, rank.",
            rich_help_panel=_BASE,
        ),
    ] = None,
    beta: Annotated[
        list[str] | None,
        typer.Option(metavar="beta1=NUMBER", help="Adam's β at the base (beta1=, beta2=).", rich_help_panel=_BASE),
    ] = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="The base's warmup_steps, and cooldown_steps or cooldown_share, for --rule schedule=…",
            rich_help_panel=_BASE,
        ),
    ] = None,
    learning_rate: Annotated[
        list[str] | None,
        typer.Option(
            "--learning-rate", "--lr", metavar="VALUE", help=f"Tuned at the base: {_BY_ROLE}.", rich_help_panel=_BASE
        ),
    ] = None,
    epsilon: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE", help=f"Adam's ε at the base: {_BY_ROLE}.", rich_help_panel=_BASE),
    ] = None,
    weight_decay: Annotated[
        list[str] | None, typer.Option(metavar="VALUE", help=f"λ at the base: {_BY_ROLE}.", rich_help_panel=_BASE)
    ] = None,
    init_std: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE", help=f"Init's deviation at the base: {_BY_ROLE}.", rich_help_panel=_BASE),
    ] = None,
    gradient_rms: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE", help=f"Measured at the base, to check ε: {_BY_ROLE}.", rich_help_panel=_BASE),
    ] = None,
    base_config: Annotated[
        Path | None,
        typer.Option(
            help="The tuned model: its Hugging Face config.json, or a .safetensors file or index.",
            rich_help_panel=_BASE,
        ),
    ] = None,
    target_config: Annotated[
        Path | None, typer.Option(help="The model to train, in the same way.", rich_help_panel=_BASE)
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN=ROLE", help="Settles what a model leaves open, by name (* and ?).", rich_help_panel=_BASE
        ),
    ] = None,
    layout: Annotated[
        Layout | None,
        options.word(Layout, f"Axis order of the file's matrices that name no axes. {listed(Layout)}.", panel=_BASE),
    ] = None,
    block_size: Annotated[int | None, options.block_size(_SETTING)] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ABOUT=RULE[,PARAMETER=NUMBER]",
            help="What to do about experts, rank, depth, batch, tokens or weight_decay (`widthwise rules` lists them).",
            rich_help_panel=_WHENCE,
        ),
    ] = None,
    calibration: Annotated[
        str | None,
        options.identifier("Use the exponents that this calibration measured; asks a service.", panel=_WHENCE),
    ] = None,
    sweep: Annotated[
        str | None,
        options.identifier("Use the exponent over width that this sweep measured; asks a service.", panel=_WHENCE),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Ask this service instead of answering here.", rich_help_panel=_WHENCE)
    ] = None,
    every_tensor: Annotated[
        bool,
        typer.Option("--every-tensor", help="A line for each tensor, repeated blocks too.", rich_help_panel=_OUTPUT),
    ] = False,
    plot: Annotated[Path | None, drawing.plot(f"Draw the quantities over width, {drawing.FORMATS}.", _OUTPUT)] = None,
    as_json: Annotated[bool, options.as_json("The plan with its digest, for `widthwise export`.", _OUTPUT)] = False,
) -> None:
    """Return every hyperparameter of a larger model, from those tuned on a small one.

    Works without a service. Options replace what the file says.

    \b
    Examples:
      widthwise transfer -p standard -o adam --base-width 256 \\
          --target-width 4096 --lr 0.003 --epsilon 1e-8
      widthwise transfer -p mup -o adam --base-width 256 --target-width 1024 \\
          --lr embedding=0.01 --lr hidden=0.003 --lr readout=0.003
      widthwise transfer -p standard -o adamw --lr 0.003 \\
          --base-config small/config.json --target-config large/config.json
      widthwise transfer examples/gpt2_small_to_xl.json
      widthwise transfer examples/gpt2_small_to_xl.json -p mup --json
      widthwise transfer -p mup -o adamw --base-width 256 --target-width 1024 \\
          --lr 0.003 --size depth=8:32 --rule depth=completep
      widthwise transfer -p mup -o soap --base-width 256 --target-width 1024 \\
          --lr 0.003 --block-size 128
      widthwise transfer request.json --calibration ID
      widthwise transfer request.json --sweep ID
    """
    asked = words.read_request(request) if request is not None else {}
    setting = {
        "parameterization": parameterization,
        "optimizer": optimizer,
        "alignment": alignment,
        "readout_omega": readout_omega,
        "form": form,
        "weight_decay_mode": weight_decay_mode,
        "layout": layout,
        "block_size": block_size,
        "exponents": _measured(calibration, sweep),
    }
    base = {
        "width": base_width,
        "learning_rate": words.number_or_by_role(learning_rate, "--learning-rate"),
        "epsilon": words.number_or_by_role(epsilon, "--epsilon"),
        "weight_decay": words.number_or_by_role(weight_decay, "--weight-decay"),
        "init_std": words.number_or_by_role(init_std, "--init-std"),
        "gradient_rms": words.number_or_by_role(gradient_rms, "--gradient-rms"),
    }
    model = model_part(base_config, target_config, role)
    if request is None:
        ends = (
            {"--base-config": base_config, "--target-config": target_config}
            if model
            else {"--base-width": base_width, "--target-width": target_width}
        )
        setting_options = {"--parameterization": parameterization, "--optimizer": optimizer}
        words.require({**setting_options, **ends, "--learning-rate": learning_rate})
    asked |= words.given(setting)
    if model:
        asked["model"] = _merged(asked.get("model"), model)
    base_sizes, target_sizes = words.sizes(size, "--size")
    asked["base"] = _merged(asked.get("base"), base | base_sizes | (_betas(beta) or {}) | _schedule(schedule))
    asked["target"] = _merged(asked.get("target"), {"width": target_width} | target_sizes)
    if named := words.rules(rule, "--rule"):
        asked["rules"] = _merged(asked.get("rules"), named)
    plan = _answer(asked, url=url, remote=any(each is not None for each in (url, calibration, sweep)))
    if plot is not None:
        drawing.draw_transfer(plan, plot)
    if as_json:
        console.print_json(with_digest(plan))
        return
    show_plan(plan, every_tensor=every_tensor)
    console.warn(plan["warnings"])


def _betas(values: list[str] | None) -> dict[str, float] | None:
    found = words.number_or_by_role(values, "--beta")
    if isinstance(found, float):
        raise typer.BadParameter(f"{found:g}: say which, as beta2={found:g}", param_hint="'--beta'")
    return found


def _schedule(values: list[str] | None) -> dict[str, float]:
    found = words.number_or_by_role(values, "--schedule") or {}
    if isinstance(found, float):
        raise typer.BadParameter(f"{found:g}: say which, as warmup_steps={found:g}", param_hint="'--schedule'")
    return {
        name: int(value) if value.is_integer() and name != "cooldown_share" else value for name, value in found.items()
    }


def _measured(calibration: str | None, sweep: str | None) -> dict[str, str] | None:
    """Return where measured exponents come from; None without either option."""
    if calibration is not None and sweep is not None:
        raise typer.BadParameter("given with --calibration; give one of the two", param_hint="'--sweep'")
    if sweep is not None:
        return {"source": "sweep", "id": sweep}
    return None if calibration is None else {"source": "calibration", "id": calibration}


def _merged(part: Any, options: dict[str, Any]) -> Any:
    """Return a part of the file with the options in it; what is no object is left for the answer to refuse."""
    if part is None or isinstance(part, dict):
        return (part or {}) | words.given(options)
    return part


def _answer(asked: dict[str, Any], *, url: str | None, remote: bool) -> dict[str, Any]:
    if remote:
        from widthwise.client import Client

        with Client(url) as client:
            return client.transfer(asked).to_dict()
    return plan_of(TransferRequest.from_dict(asked)).to_dict()
