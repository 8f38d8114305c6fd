"""`widthwise convert`: a learning rate, a weight decay or LoRA's alpha in another convention, at the same size."""

import re
from typing import Annotated

import typer

from widthwise.cli import console, options
from widthwise.conversion import CONVERTED, MUON_RMS_SCALE, Converted, convert_decay, convert_lora_alpha, convert_rate
from widthwise.vocabulary import Optimizer, WeightDecayMode

convert = typer.Typer(
    name="convert",
    no_args_is_help=True,
    help="Convert a number from one optimizer or convention to another, at the same size.",
)
_SHAPE = re.compile(r"(\d+)[x×](\d+)")


@convert.command()
def rate(
    learning_rate: Annotated[float, typer.Argument(help="Of the optimizer that --from names.")],
    *,
    source: Annotated[Optimizer, typer.Option("--from", help=f"One of {', '.join(CONVERTED)}.")],
    target: Annotated[Optimizer, typer.Option("--to", help="Another of these.")],
    shape: Annotated[str, typer.Option(help="Fan-out and fan-in of the matrix, as 4096x1024.")],
    c: Annotated[
        float, typer.Option(help="Scale of muon_rms, and the RMS that AdamW's update is taken to have.")
    ] = MUON_RMS_SCALE,
    as_json: Annotated[bool, options.as_json("Print value, exact and reason.")] = False,
) -> None:
    """Return the learning rate whose update of a matrix is as large.

    \b
    Examples:
      widthwise convert rate 0.02 --from muon_keller --to muon_rms --shape 4096x1024
      widthwise convert rate 3e-4 --from adamw --to muon_unit --shape 2048x2048
    """
    sizes = _SHAPE.fullmatch(shape)
    if sizes is None:
        raise typer.BadParameter(f"{shape!r}: give fan-out and fan-in, as 4096x1024", param_hint="'--shape'")
    fan_out, fan_in = map(int, sizes.groups())
    _show(convert_rate(learning_rate, source=source, target=target, fan_out=fan_out, fan_in=fan_in, c=c), as_json)


@convert.command()
def decay(
    weight_decay: Annotated[float, typer.Argument(help="λ in the mode that --from names.")],
    *,
    optimizer: Annotated[Optimizer, typer.Option("--optimizer", "-o", help="The optimizer that decays.")],
    learning_rate: Annotated[float, typer.Option("--learning-rate", "--lr", help="Its learning rate, at the peak.")],
    source: Annotated[WeightDecayMode, typer.Option("--from", help="The mode of the number.")],
    target: Annotated[WeightDecayMode, typer.Option("--to", help="The mode to convert to.")],
    as_json: Annotated[bool, options.as_json("Print value, exact and reason.")] = False,
) -> None:
    """Return the λ that takes as much off a weight in a step.

    \b
    Examples:
      widthwise convert decay 0.1 -o adamw --lr 0.003 --from decoupled --to independent
    """
    found = convert_decay(weight_decay, optimizer=optimizer, learning_rate=learning_rate, source=source, target=target)
    _show(found, as_json)


@convert.command()
def alpha(
    value: Annotated[float, typer.Argument(metavar="ALPHA", help="LoRA's alpha under the scale that --from names.")],
    *,
    rank: Annotated[int, typer.Option(help="LoRA's rank.")],
    source: Annotated[str, typer.Option("--from", help="lora (alpha/r) or rslora (alpha/√r).")],
    target: Annotated[str, typer.Option("--to", help="The other one.")],
    as_json: Annotated[bool, options.as_json("Print value, exact and reason.")] = False,
) -> None:
    """Return the alpha that scales B·A by the same number.

    \b
    Examples:
      widthwise convert alpha 32 --rank 16 --from lora --to rslora
    """
    _show(convert_lora_alpha(value, rank=rank, source=source, target=target), as_json)


def _show(found: Converted, as_json: bool) -> None:
    if as_json:
        console.print_json(found.to_dict())
        return
    console.stdout().print(f"{found.value:.6g}  ({'exact' if found.exact else 'a heuristic'}: {found.reason})")
