"""`widthwise calibrate submit`: submit a calibration to a service, watch it, show its results."""

from typing import Annotated

import typer

from widthwise.calibration.corpora import CORPORA, FILE_PREFIX
from widthwise.calibration.spec import DEFAULTS
from widthwise.cli import options, specification, words
from widthwise.cli.watching import show_estimate, submit_and_watch
from widthwise.explained import listed
from widthwise.vocabulary import (
    AlignmentName,
    Architecture,
    EpsilonRule,
    FeedForward,
    Form,
    LearningRateRule,
    Measured,
    Optimizer,
    Parameterization,
    Search,
)

_SETTING, _SWEEP, _PROXY = options.SETTING, "Sweep", "Proxy"


def submit(
    *,
    spec: Annotated[
        str | None,
        typer.Argument(
            help="JSON file with the body of POST /v1/calibrations, or - for standard input.", metavar="FILE"
        ),
    ] = None,
    parameterization: Annotated[Parameterization | None, options.parameterization()] = None,
    optimizer: Annotated[Optimizer | None, options.optimizer()] = None,
    alignment: Annotated[
        AlignmentName | None,
        options.alignment("Which exponents to test (default: full; measured ones go in the file)."),
    ] = None,
    readout_omega: Annotated[float | None, options.readout_omega()] = None,
    form: Annotated[Form | None, options.form()] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Adam's ε at the smallest width.", rich_help_panel=_SETTING)
    ] = None,
    learning_rate_rule: Annotated[
        LearningRateRule | None,
        options.word(LearningRateRule, f"{listed(LearningRateRule)}.", panel=_SETTING),
    ] = None,
    epsilon_rule: Annotated[
        EpsilonRule | None,
        options.word(EpsilonRule, f"{listed(EpsilonRule)}.", panel=_SETTING),
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(help="Widths to train at; an interval needs three.", metavar="N,N,…", rich_help_panel=_SWEEP),
    ] = None,
    learning_rates: Annotated[
        str | None,
        typer.Option(
            help="Base learning rates (default: a grid for the proxy).", metavar="X,X,…", rich_help_panel=_SWEEP
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds per learning rate.", rich_help_panel=_SWEEP)] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps per run.", rich_help_panel=_SWEEP)] = None,
    search: Annotated[
        Search | None,
        options.word(
            Search,
            f"How the learning rates are searched ({DEFAULTS.search.value} unless given). {listed(Search)}.",
            panel=_SWEEP,
        ),
    ] = None,
    target_width: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of the information search: the width to predict at (four times the largest unless given).",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            help="Of the information search: octaves of half of the 95 % interval at which it ends.",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            help="Of the information search: floating-point operations that its sweeps may take.",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    mesh: Annotated[
        float | None,
        typer.Option(
            help="Finest spacing of the learning rates around each optimum, in octaves.", rich_help_panel=_SWEEP
        ),
    ] = None,
    early_stopping: Annotated[
        bool | None,
        typer.Option(
            "--early-stopping/--no-early-stopping",
            help="Stop trials that can't come near the best one.",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            help=f"What is measured ({','.join(kind.value for kind in DEFAULTS.measure)} unless given). "
            f"{listed(Measured)}.",
            metavar="WORD,WORD,…",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    horizons: Annotated[
        str | None,
        typer.Option(help="Steps of each horizon, if horizons are measured.", metavar="N,N,…", rich_help_panel=_SWEEP),
    ] = None,
    architecture: Annotated[str | None, options.named(f"{listed(Architecture)}.", panel=_PROXY)] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Residual blocks.", rich_help_panel=_PROXY)] = None,
    head_dim: Annotated[int | None, typer.Option(min=1, help="Width of one head.", rich_help_panel=_PROXY)] = None,
    sequence_length: Annotated[
        int | None, typer.Option(min=1, help="Bytes of context.", rich_help_panel=_PROXY)
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Windows per step.", rich_help_panel=_PROXY)] = None,
    dataset: Annotated[
        str | None, options.named(f"{', '.join(CORPORA)}, or {FILE_PREFIX}NAME of the workers' folder.", panel=_PROXY)
    ] = None,
    feed_forward: Annotated[
        FeedForward | None,
        options.word(FeedForward, "What the feed-forward part computes; the transformer's.", panel=_PROXY),
    ] = None,
    qk_norm: Annotated[
        bool | None,
        typer.Option(
            "--qk-norm/--no-qk-norm", help="Normalize queries and keys; for the transformer.", rich_help_panel=_PROXY
        ),
    ] = None,
    tied: Annotated[
        bool | None,
        typer.Option(
            "--tied/--no-tied", help="One table for embedding and readout; for the transformer.", rich_help_panel=_PROXY
        ),
    ] = None,
    name: Annotated[str | None, options.calibration_name()] = None,
    note: Annotated[str | None, options.note()] = None,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate", help="Print what it would take, and submit nothing.", rich_help_panel=options.OUTPUT
        ),
    ] = False,
    detach: Annotated[bool, options.detach()] = False,
    key: Annotated[str | None, options.idempotency_key()] = None,
    url: Annotated[str | None, options.url()] = None,
    as_json: Annotated[bool, options.as_json("Print the service's JSON unchanged.")] = False,
) -> None:
    """Measure learning-rate exponents on small models, and other assumptions of the theory. Needs a running service.

    The service trains small models at several widths. This command shows the progress, then prints the best learning
    rate at each width, how it moves, and the measured exponents with 95 % intervals next to theory's. Options override
    the file. Ctrl-C leaves the calibration running (exit code 130). `widthwise calibrate` with options or a file is
    short for this command.

    \b
    Examples:
      widthwise calibrate submit -p standard -o adam --widths 64,128,256
      widthwise calibrate submit -p mup -o adam --widths 32,64,128,256 --steps 100 \\
          --learning-rates 0.004,0.008,0.016,0.03,0.06 --search grid
      widthwise calibrate submit -p mup -o adam --widths 32,64,128 \\
          --measure learning_rate,epsilon,alignment,coordinates
      widthwise calibrate submit -p mup -o adam --widths 32,64,128,256 --seeds 3 \\
          --search information --precision 0.8 --target-width 1024
      widthwise calibrate submit spec.json --estimate
      widthwise calibrate submit spec.json --detach
    """
    asked = specification.specification(words.given(locals()))  # all given options, by name
    if estimate:
        show_estimate(asked, url=url, as_json=as_json)
        return
    submit_and_watch(
        lambda client, key: client.submit_calibration(asked, idempotency_key=key),
        url=url,
        key=key,
        detach=detach,
        as_json=as_json,
    )
