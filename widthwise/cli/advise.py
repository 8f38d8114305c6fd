"""`widthwise advise`: what to choose for a scale-up, and what each choice rests on."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from widthwise.advice import AdviceCase
from widthwise.advice import advise as advised
from widthwise.advice.case import MayChange
from widthwise.cli import console, options, words
from widthwise.vocabulary import Optimizer, Parameterization

_CASE = ("optimizer", "parameterization", "base", "target", "may_change")
_SIZES = (
    *("width", "depth", "batch_tokens", "tokens", "parameters", "steps"),
    *("head_dim", "output_dimension", "attention_scale"),
)


def advise(
    *,
    request: Annotated[str | None, typer.Argument(help="A request of a transfer, or a case (JSON).")] = None,
    parameterization: Annotated[Parameterization | None, options.parameterization()] = None,
    optimizer: Annotated[Optimizer | None, options.optimizer()] = None,
    base_width: Annotated[int | None, typer.Option(min=1, help="Width of the tuned model.")] = None,
    target_width: Annotated[int | None, typer.Option(min=1, help="Width of the model to train.")] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=BASE:TARGET",
            help="Another size at both ends: depth, batch_tokens, tokens, parameters, steps.",
        ),
    ] = None,
    may_change: Annotated[
        list[MayChange] | None, options.word(MayChange, "What is open; parameterization unless given.")
    ] = None,
    url: Annotated[str | None, options.url()] = None,
    as_json: Annotated[bool, options.as_json("Print the answer as JSON.")] = False,
) -> None:
    """Rank parameterizations, alignments and rules by their evidence, and propose a proxy and a calibration.

    With --url, the calibrations of that service stand next to the lines.

    \b
    Examples:
      widthwise advise -p standard -o adamw --base-width 1024 --target-width 4096
      widthwise advise examples/gpt2_small_to_xl.json --json
    """
    file = {} if request is None else words.read_request(request)
    case: dict[str, Any] = {name: file[name] for name in _CASE if name in file}
    ends = dict(zip(("base", "target"), words.sizes(size, "--size"), strict=True))
    for end, width in (("base", base_width), ("target", target_width)):
        stated = {name: value for name, value in (case.get(end) or {}).items() if name in _SIZES}
        case[end] = stated | ends[end] | words.given({"width": width})
    case |= words.given({"parameterization": parameterization, "optimizer": optimizer})
    if may_change:
        case["may_change"] = [each.value for each in may_change]
    if url is None:
        found: Mapping[str, Any] = advised(AdviceCase.from_dict(case))
    else:
        from widthwise.client import Client

        with Client(url) as client:
            found = client.advise(case)
    if as_json:
        console.print_json(found)
        return
    _show(found)


def _show(found: Mapping[str, Any]) -> None:
    table = console.new_table("", "choice", "loss", "basis", "calibrations", left=2)
    for line in found["options"]:
        rates = "one rate" if line["alignment"] is None else f"{line['alignment']} alignment, ε {line['epsilon']}"
        choice = f"{line['parameterization']}, {line['optimizer']}, {rates}"
        mark = "≈ first" if line["not_told_apart"] and line["rank"] > 1 else ""
        told = ", ".join(dict.fromkeys(each["calibration_id"] for each in line["calibrations"]))
        loss = "" if line["loss"] is None else f"{line['loss']:.3f} {mark}".strip()
        table.add_row(str(line["rank"]), choice, loss, line["basis"], told)
    size = found["compared_at_parameters"]
    console.show(f"By published loss at {size / 1e9:.3g}B parameters", table)
    first = found["options"][:1]
    for each in (each for line in first for each in line["rests_on"]):
        console.paragraph(f"First line: {each['statement']}" + (f" ({each['source']})" if each["source"] else ""))
    console.paragraph(found["explanation"])
    for rule in found["rules"]:
        console.paragraph(f"Rule of {rule['about']}: {rule['rule']} ({rule['rests_on']}). {rule['why']}")
    for name, told in found["proxy"].items():
        if told["value"] is not None:
            console.paragraph(f"Proxy {name} {told['value']}: {told['why']}")
    calibration = found["calibration"]
    if calibration["specification"] is None:
        console.paragraph(f"Calibration: {calibration['refused']}")
    else:
        cost = f"{calibration['trials']} runs, {calibration['flops']:.2g} operations"
        console.paragraph(f"Calibration: {cost}; {calibration['settles']}")
    for each in found["thin"]:
        console.paragraph(f"Thin: {each}")
