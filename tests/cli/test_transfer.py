"""`widthwise transfer`: the same plan as the service's, as a table or JSON, and clear refusals."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer import rich_utils

from service.transfers.examples import EXAMPLES
from tests.cli.conftest import Run
from widthwise.client import Client
from widthwise.theory.optimizers import default_decay_modes
from widthwise.transfers.digest import with_digest
from widthwise.vocabulary import Optimizer

FILES = sorted((Path(__file__).parents[2] / "examples").glob("*.json"))
CONTRACT = [
    "-p",
    "standard",
    "-o",
    "adam",
    "--base-width",
    "256",
    "--target-width",
    "4096",
    "--lr",
    "0.003",
    "--epsilon",
    "1e-8",
]


def test_options_give_the_plan_of_the_contract(run: Run, client: Client) -> None:
    ran = run("transfer", *CONTRACT, "--json")
    assert ran.code == 0
    assert json.loads(ran.out) == with_digest(client.transfer(EXAMPLES["contract"]["value"]).to_dict())


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_request_on_stdin_gives_the_services_plan(run: Run, client: Client, name: str) -> None:
    request = EXAMPLES[name]["value"]
    ran = run("transfer", "-", "--json", stdin=json.dumps(request))
    assert json.loads(ran.out) == with_digest(client.transfer(request).to_dict())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_examples_give_the_services_plan(run: Run, client: Client, path: Path) -> None:
    ran = run("transfer", path, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == with_digest(client.transfer(json.loads(path.read_text(encoding="utf-8"))).to_dict())
    assert run("transfer", path).code == 0


def test_a_service_can_be_asked(run: Run, url: str, unused_url: str) -> None:
    assert run("transfer", *CONTRACT, "--json", "--url", url).out == run("transfer", *CONTRACT, "--json").out
    ran = run("transfer", *CONTRACT, "--url", unused_url)
    assert ran.code == 1
    assert "widthwise serve" in ran.err


def test_options_replace_what_the_file_says(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(EXAMPLES["contract"]["value"]), encoding="utf-8")
    ran = run(
        "transfer", path, "-p", "mup", "--target-width", 512, "--lr", "hidden=0.1", "--lr", "readout=0.2", "--json"
    )
    plan = json.loads(ran.out)
    assert plan["provenance"]["parameterization"] == "mup"
    by_role = {layer["role"]: layer["learning_rate"] for layer in plan["layers"]}
    assert by_role["hidden"] == {"value": 0.05, "multiplier": 0.5, "exponent": 1.0, "factors": {"width": 0.5}}
    assert by_role["embedding"]["value"] is None


def test_the_table_holds_the_numbers(run: Run) -> None:
    ran = run("transfer", *CONTRACT)
    assert ran.code == 0
    hidden = next(line.split() for line in ran.out.splitlines() if line.startswith(" hidden"))
    assert hidden == ["hidden", "0.0001875", "×0.0625", "2.5e-09", "×0.25", "×0.25", "−1.000"]
    assert "Everett et al. 2024" in ran.out


def test_the_answer_says_which_decay_and_which_optimizer_it_took(run: Run) -> None:
    ran = run("transfer", *CONTRACT, "--weight-decay", "0.1")
    assert "standard, Adam, full alignment; weight decay decoupled, W ← W − ηλW" in ran.out
    assert "Warning (decay_assumed): weight decay is taken as 'decoupled'" in ran.err
    coupled = run("transfer", *CONTRACT, "--weight-decay", "0.1", "--weight-decay-mode", "coupled")
    assert "weight decay coupled, λW is added to the gradient" in coupled.out
    assert "decay_assumed" not in coupled.err


@pytest.mark.parametrize(
    "option", ["--parameterization", "--alignment", "--form", "--weight-decay-mode", "--layout", "--optimizer"]
)
def test_an_unknown_word_is_refused_with_those_that_there_are(run: Run, option: str) -> None:
    ran = run("transfer", *CONTRACT, option, "nonsense")
    said = " ".join(re.sub("[│╭╰─╮╯]", " ", ran.err).split())
    assert ran.code == 2
    assert "is 'nonsense'; give one of '" in said
    assert "Value error" not in said


def test_an_optimizers_other_name_is_told_the_word(run: Run) -> None:
    ran = run("transfer", *CONTRACT, "-o", "adamw_torch")
    assert ran.code == 2
    assert "give 'adamw'" in " ".join(re.sub("[│╭╰─╮╯]", " ", ran.err).split())


def test_the_help_lists_the_optimizers_and_their_decay(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 300)
    shown = " ".join(re.sub("[│╭╰─╮╯]", " ", run("transfer", "--help").out).split())
    assert all(optimizer.value in re.sub(" ", "", shown) for optimizer in Optimizer)
    assert default_decay_modes() in shown
    assert "PyTorch does" not in shown


def test_the_models_own_multipliers_follow_the_tables(run: Run) -> None:
    asked = {**EXAMPLES["contract"]["value"], "parameterization": "mup", "form": "table_8"}
    asked["base"], asked["target"] = {**asked["base"], "head_dim": 64}, {**asked["target"], "head_dim": 256}
    asked["code_multipliers"] = [{"role": "embedding", "power": 0.5, "of": "fan_out"}]
    ran = run("transfer", "-", stdin=json.dumps(asked))
    assert "Attention scale ×0.5: query·key × √d_base/d_head = √64/256" in ran.out
    assert "Logit multiplier ×0.0625: " in ran.out
    assert "Embedding multiplier" not in ran.out  # the code computes it: nothing is left
    plan = json.loads(run("transfer", "-", "--json", stdin=json.dumps(asked)).out)
    embedding = next(layer for layer in plan["layers"] if layer["role"] == "embedding")
    assert embedding["init_std"]["factors"] == {"width": 1.0, "code": 0.25}


def test_like_tensors_that_cannot_be_placed_share_a_line(run: Run) -> None:
    routers = [{"name": f"h.{i}.router", "base_shape": [8, 64], "target_shape": [8, 256]} for i in range(24)]
    tensors = [*routers, {"name": "wte", "base_shape": [99, 64], "target_shape": [99, 256]}]
    ran = run("transfer", "-", stdin=json.dumps({**EXAMPLES["contract"]["value"], "tensors": tensors}))
    assert ran.code == 1
    assert "'h.*.router' (×24): [8, 64] → [8, 256]: only axis 1 changes" in ran.err
    assert "'wte': [99, 64] → [99, 256]: " in ran.err


def test_warnings_go_to_stderr_and_no_colour_to_a_pipe(run: Run) -> None:
    ran = run("transfer", *CONTRACT)
    assert "Warning (small_base_width)" in ran.err
    assert "Warning" not in ran.out
    assert "\x1b" not in ran.out + ran.err


def test_repeated_blocks_share_a_line_unless_asked(run: Run) -> None:
    path = next(path for path in FILES if "gpt2" in path.stem)
    count = len(json.loads(path.read_text(encoding="utf-8"))["tensors"])
    short, long = run("transfer", path).out, run("transfer", path, "--every-tensor").out
    assert re.search(r"^ ?transformer\.h\.\*\.attn\.c_attn\.weight \(×48\) ", short, re.MULTILINE)
    assert len(short.splitlines()) < 50
    assert len(long.splitlines()) > count


def test_different_tensors_of_one_name_pattern_stay_apart(run: Run) -> None:
    tensors = [
        {"name": f"w.{i}", "base_shape": [64, 64], "target_shape": [64 * (i + 1), 64 * (i + 1)]} for i in range(1, 4)
    ]
    request = {**EXAMPLES["contract"]["value"], "layout": "out_in", "tensors": tensors}
    out = run("transfer", "-", stdin=json.dumps(request)).out
    assert all(f" w.{i} " in out for i in range(1, 4))


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_tables_fit_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for path in FILES:
        lines = run("transfer", path).out.splitlines()
        tables = [line for line in lines if not line.startswith(("Exponents from", "Setting:"))]
        assert max(map(len, tables)) <= columns
        if columns < 80:
            continue  # nobody's terminal: nothing overflows, and that is all
        plan = json.loads(run("transfer", path, "--json").out)
        words = {word for line in tables for word in line.split()}
        for row in (*plan["layers"], *plan["tensors"]):
            for name in ("learning_rate", "epsilon"):
                assert f"{row[name]['value']:.4g}" in words, (path, name)  # whole, not cut


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in EXAMPLES["contract"]["value"].items() if name not in names}


@pytest.mark.parametrize(
    ("request_text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "give an object"),
        (json.dumps(without()).replace("0.003", "NaN"), "NaN is not a number in JSON"),
        (json.dumps(without()).replace("0.003", "1e999"), "base.learning_rate is inf"),
        (json.dumps(without("optimizer")), "optimizer is missing"),
        (json.dumps(without("base")), "learning_rate is missing"),
        (json.dumps({**without(), "widht": 1}), "no field 'widht'"),
        (json.dumps({**without(), "base": {"width": 256, "lr": 1}}), "base has no field 'lr'"),
        (json.dumps({**without(), "base": 3}), "give an object"),
        (json.dumps({**without(), "alignment": 3}), "alignment is 3"),
        (json.dumps({**without(), "alignment": {"hidden": {"alpha": "x"}}}), "give a number"),
        (json.dumps({**without(), "readout_omega": "half"}), "give a number"),
        (json.dumps({**without(), "parameterization": ["mup"]}), "parameterization"),
        (json.dumps({**without(), "target": {"width": 2.5}}), "target.width"),
        (json.dumps({**without(), "tensors": 3}), "list"),
        (json.dumps({**without(), "tensors": [{"name": "w"}]}), "base_shape is missing"),
        (json.dumps({**without(), "tensors": [{"name": "w", "base_shape": "x", "target_shape": [1]}]}), "integers"),
        (json.dumps({**without(), "tensors": [{"name": 1, "base_shape": [1], "target_shape": [1]}]}), "a string"),
        (
            json.dumps({**without(), "tensors": [{"name": "w", "base_shape": [64, 128], "target_shape": [256, 512]}]}),
            "can't be placed",
        ),
        (json.dumps({**without(), "exponents": {"source": "calibration", "id": "x"}}), "--url"),
        (json.dumps({**without(), "rules": {"depth": 1}}), "rules.depth is 1"),
    ],
)
def test_a_bad_request_is_one_message_and_code_1(run: Run, request_text: str, message: str) -> None:
    ran = run("transfer", "-", stdin=request_text)
    assert ran.code == 1
    assert ran.out == ""
    assert message in ran.err
    assert ran.err.startswith("Error: ")
    assert "Traceback" not in ran.err


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    ran = run("transfer", tmp_path / "missing.json")
    assert ran.code == 1
    assert "can't be read: No such file" in ran.err
    binary = tmp_path / "model.safetensors"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in run("transfer", binary).err


@pytest.mark.parametrize(
    "arguments",
    [
        ["-p", "standard"],  # the rest is missing
        [*CONTRACT, "--form", "table_1"],
        [*CONTRACT, "--lr", "x"],
        [*CONTRACT, "--lr", "hidden=1"],  # a number and a role
        ["-p", "mup", "-o", "adam", "--base-width", "0", "--target-width", "4", "--lr", "1"],
        [*CONTRACT, "--surprise"],
        [*CONTRACT, "--size", "depth=8"],
        [*CONTRACT, "--size", "depth=8:x"],
        [*CONTRACT, "--rule", "completep"],
        [*CONTRACT, "--rule", "depth=completep,alpha=high"],
        [*CONTRACT, "--beta", "0.9"],
    ],
)
def test_a_bad_command_line_is_code_2(run: Run, arguments: list[str]) -> None:
    ran = run("transfer", *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "Usage: " in ran.err


def test_measured_exponents_replace_theorys(run: Run, url: str, finish: Any) -> None:
    identifier = finish()
    ran = run("transfer", *CONTRACT, "--calibration", identifier, "--url", url, "--json")
    plan = json.loads(ran.out)
    hidden = next(layer for layer in plan["layers"] if layer["role"] == "hidden")
    assert hidden["learning_rate"]["exponent"] == pytest.approx(1.25, abs=0.01)
    shown = run("transfer", *CONTRACT, "--calibration", identifier, "--url", url).out
    assert f"Exponents from calibration {identifier} (mlp, widths 64, 128, 256)" in shown


def test_a_file_with_a_byte_order_mark(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(without()), encoding="utf-8-sig")
    assert run("transfer", file).code == 0


def test_rules_and_sizes_are_options(run: Run) -> None:
    sizes = ["--size", "depth=8:32", "--size", "tokens=2e9:4e10", "--size", "batch_tokens=1024:4096"]
    rules = ["--rule", "depth=completep,alpha=0.5", "--rule", "tokens=exponent=0.25", "--rule", "batch=half_life"]
    ran = run("transfer", *CONTRACT, *sizes, *rules, "--beta", "beta2=0.99", "--json")
    plan = json.loads(ran.out)
    assert plan["provenance"]["rules"]["depth"] == {"rule": "completep", "alpha": 0.5}
    hidden = next(layer for layer in plan["layers"] if layer["role"] == "hidden")
    assert hidden["learning_rate"]["factors"] == {
        "width": 1 / 16,
        "depth": 0.5,
        "batch": 2.0,
        "tokens": pytest.approx(20**-0.25),
    }
    shown = run("transfer", *CONTRACT, *sizes, *rules, "--beta", "beta2=0.99").out
    assert "Rule of depth: completep (alpha 0.5)." in shown
    assert "Beta2 0.9606" in shown
    assert "Residual multiplier ×0.5" in shown


def test_a_schedule_is_carried_in_steps_and_as_shares(run: Run) -> None:
    options = ("--size", "steps=10000:40000", "--schedule", "warmup_steps=500", "--schedule", "cooldown_share=0.2")
    shown = run("transfer", *CONTRACT, *options, "--rule", "schedule=keep_steps").out
    assert "Warmup steps 500" in shown
    assert "Cooldown share 0.05" in shown
    assert "say which" in run("transfer", *CONTRACT, "--schedule", "500").err


def test_the_rules_of_decay_are_compared_for_a_request(run: Run, tmp_path: Path) -> None:
    ends = {
        "base": {"width": 256, "learning_rate": 0.004, "weight_decay": 0.1, "tokens": 10**9, "batch_tokens": 2**16},
        "target": {"width": 1024, "tokens": 2 * 10**9, "batch_tokens": 2**16},
    }
    path = tmp_path / "request.json"
    path.write_text(json.dumps({"parameterization": "mup", "optimizer": "adamw", **ends}))
    shown = run("rules", "weight_decay", "--compare", path).out
    assert "none (in the plan)" in shown
    assert "0.0004 → 0.0001 (×0.25)" in shown
    assert "power_lines" in shown
    assert "refused: rules.weight_decay is 'power_lines', which needs" in " ".join(shown.split())
    assert "The rules differ by up to ×4 in η·λ of hidden tensors." in shown
    listed = json.loads(run("rules", "weight_decay", "--compare", path, "--json").out)
    assert listed["apart"] == {"hidden": 4.0, "embedding": 4.0}
    assert "name what the rules" in run("rules", "--compare", path).err


def test_the_rules_are_listed_with_their_sources(run: Run) -> None:
    every = run("rules").out
    assert "completep" in every
    assert "2510.19093" in every
    assert "ABOUT is 'depht'; give one of 'experts', 'rank', 'depth', 'batch'" in run("rules", "depht").err
    depth = run("rules", "depth").out
    assert "2505.01618" in depth
    assert "timescale" not in depth
    listed = json.loads(run("rules", "batch", "--json").out)
    assert {rule["rule"] for rule in listed} == {"square_root", "adamw_sde", "half_life", "surge", "power"}


def test_numbers_are_converted_at_one_size(run: Run) -> None:
    rate = run("convert", "rate", "0.02", "--from", "muon_keller", "--to", "muon_unit", "--shape", "1024x4096")
    assert rate.out.startswith("0.04  (exact: ")
    decay = ["convert", "decay", "0.1", "-o", "adamw", "--lr", "0.003", "--from", "decoupled", "--to", "independent"]
    assert json.loads(run(*decay, "--json").out)["value"] == pytest.approx(0.0003)
    assert run("convert", "alpha", "32", "--rank", "16", "--from", "lora", "--to", "rslora").out.startswith("8  ")
    assert run("convert", "rate", "1", "--from", "adamw", "--to", "muon_rms", "--shape", "4096").code == 2
    assert run("convert", "rate", "1", "--from", "lion", "--to", "muon_rms", "--shape", "4x4").code == 1


def test_the_quantities_are_drawn_over_width(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "plan.csv"
    ran = run("transfer", *CONTRACT, "--plot", file)
    assert ran.code == 0, ran.err
    rows = [row for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()) if row["role"] == "hidden"]
    assert [(row["width"], float(row["value"])) for row in rows if row["quantity"] == "learning_rate"] == [
        ("256", 0.003),
        ("4096", 0.0001875),
    ]
    assert run("transfer", *CONTRACT, "--plot", tmp_path / "plan.svg").code == 0
    asked = json.loads(FILES[0].read_text(encoding="utf-8"))
    for end in ("base", "target"):
        del asked[end]["width"]  # the tensors tell it, and each has its own
    refused = run("transfer", "-", "--plot", file, stdin=json.dumps(asked))
    assert refused.code == 1
    assert "name the width of base and target" in refused.err


def test_blocks_of_preconditioners_are_an_option(run: Run, tmp_path: Path) -> None:
    soap = ("-p", "mup", "-o", "soap", "--base-width", 256, "--target-width", 1024, "--lr", 0.003)
    one, many = (
        json.loads(run("transfer", *soap, *more, "--json").out)["layers"][1]["learning_rate"]
        for more in ((), ("--block-size", 128))
    )
    asked = {
        **{"parameterization": "mup", "optimizer": "soap", "block_size": 128},
        **{"base": {"width": 256, "learning_rate": 0.003}, "target": {"width": 1024}},
    }
    file = tmp_path / "request.json"
    file.write_text(json.dumps(asked), encoding="utf-8")
    assert json.loads(run("transfer", file, "--json").out)["layers"][1]["learning_rate"] == many
    assert one["value"] != many["value"]
    assert json.loads(run("transfer", file, "--block-size", 64, "--json").out)["layers"][1]["role"] == "hidden"
    refused = run("transfer", *soap[:3], "adamw", *soap[4:], "--block-size", 128)
    assert refused.code == 1
    assert "block_size is 128, and AdamW preconditions no blocks" in refused.err


def test_rules_are_compared_with_blocks(run: Run, tmp_path: Path) -> None:
    base = {"width": 256, "learning_rate": 0.003, "weight_decay": 0.1}
    asked = {"parameterization": "mup", "optimizer": "soap", "base": base, "target": {"width": 1024}}
    file = tmp_path / "request.json"
    file.write_text(json.dumps(asked), encoding="utf-8")
    compare = ("rules", "weight_decay", "--compare", file, "--json")
    found = [json.loads(run(*compare, *more).out)["rules"] for more in ((), ("--block-size", 128))]
    assert found[0] != found[1]
    assert run("rules", "--block-size", 128).code == 2
