"""The calculator: every way to a plan, and everything that can be done with one."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect

from service.dashboard.choices import RULES
from tests.api.client import Client
from tests.api.test_sweeps import rows, uploaded
from tests.browser.reader import Reader
from widthwise.rules.beyond_width.named import NamedRule
from widthwise.rules.beyond_width.parameter import RuleParameter, parameters_of
from widthwise.rules.beyond_width.registry import NAMED_RULES

LLAMA = {
    "model_type": "llama",
    "hidden_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "vocab_size": 1000,
}


def test_the_plan_follows_the_fields(reader: Reader) -> None:
    reader.open()
    reader.shows("hidden", "1.875e-4")  # 0.003 ÷ 16
    reader.field("Learning rate").fill("0.006")
    reader.shows("hidden", "3.75e-4")
    reader.field("Parameterization").select_option("mup")
    reader.shows("embedding", "0.0015")  # ∝ width^−½
    reader.field("Weight decay").fill("0.1")
    reader.shows("hidden", "1.6", "Weight decay")


def test_the_slider_moves_the_target(reader: Reader) -> None:
    reader.open()
    slider = reader.field("Width to train at, slider")
    expect(slider).to_have_attribute("aria-valuetext", "4096")
    slider.press("End")
    expect(reader.field("Width to train at")).to_have_value("65536")
    reader.shows("hidden", "1.172e-5")
    expect(reader.page.locator("#curves svg").first).to_contain_text("65536")
    expect(reader.page).to_have_url(re.compile("target_width=65536"))


def test_every_quantity_is_drawn_over_width(reader: Reader) -> None:
    reader.open()
    pictures = reader.page.get_by_role("img", name="over width")
    expect(pictures).to_have_count(5)
    expect(pictures.first).to_have_accessible_name(
        "Learning rate over width: embedding, vector, scalar constant; hidden, readout ∝ width^−1"
    )


def test_an_architecture_has_tensors_and_a_depth(reader: Reader) -> None:
    reader.open()
    reader.page.get_by_text("Architecture", exact=True).first.click()
    expect(reader.rows().filter(has_text="self_attn.q_proj.weight")).to_contain_text("×32")
    expect(reader.page.locator("#warnings")).to_contain_text("depth_changed")
    reader.field("Depth to train at").fill("4")
    expect(reader.rows().filter(has_text="self_attn.q_proj.weight")).to_contain_text("×4")
    reader.page.get_by_text("Beyond width").click()
    reader.field("Depth rule").select_option("completep")
    expect(reader.page.locator("#formula-depth_rule")).to_contain_text("CompleteP")
    expect(reader.page.locator("#warnings")).not_to_contain_text("depth_changed")
    reader.page.get_by_text("For the model and its training as a whole").click()
    expect(reader.page.locator("#whole")).to_contain_text("attention scale")


@pytest.mark.parametrize("kind", ["qwen3", "gpt2", "gpt_neox", "bert", "vit"])
def test_every_architecture_is_understood(reader: Reader, kind: str) -> None:
    reader.open(f"model=architecture&kind={kind}&target_depth=8")
    reader.shows("hidden", "1.875e-4")
    expect(reader.page.locator("#transfer-error")).to_be_hidden()


def test_a_pair_of_config_files(reader: Reader, tmp_path: Path) -> None:
    reader.open()
    reader.page.get_by_text("Files", exact=True).click()
    for label, width in (("Read the tuned model from a file", 256), ("Read the model to train from a file", 1024)):
        file = tmp_path / str(width) / "config.json"  # two files: the page may read the first one only later
        file.parent.mkdir()
        file.write_text(json.dumps({**LLAMA, "hidden_size": width, "intermediate_size": 4 * width}), encoding="utf-8")
        reader.page.get_by_label(label).set_input_files(file)
    reader.shows("hidden", "7.5e-4")
    expect(reader.page.locator("#curves svg").first).to_contain_text("1024")


def safetensors(path: Path, width: int) -> Path:
    """A file that holds a header alone, as long as one with weights says it is."""
    shapes = {"embed.weight": [1000, width], "mix.weight": [width, width], "head.weight": [1000, width]}
    header = json.dumps(
        {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    )
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    return path


def test_the_headers_of_a_pair_of_safetensors(reader: Reader, tmp_path: Path, allowed: list[str]) -> None:
    allowed.append("422")  # before the roles are said
    reader.open()
    reader.page.get_by_text("Files", exact=True).click()
    reader.page.get_by_label("Read the tuned model from a file").set_input_files(
        safetensors(tmp_path / "a.safetensors", 256)
    )
    expect(reader.field("Tuned model")).to_have_value(
        "embed.weight: 1000 256\nmix.weight: 256 256\nhead.weight: 1000 256"
    )
    reader.field("Model to train").fill("embed.weight: 1000 1024\nmix.weight: 1024 1024\nhead.weight: [1000, 1024]")
    expect(reader.page.locator("#problem-base_file")).to_contain_text("can't be placed")
    reader.field("Roles that the shapes leave open").fill("embed.*: embedding\nhead.*: readout")
    reader.field("Axes of matrices").select_option("out_in")
    reader.shows("hidden", "7.5e-4")
    expect(reader.rows()).to_have_count(3)
    expect(reader.page.locator("#curves")).to_be_hidden()  # a list of shapes states no width
    reader.field("Tuned width").fill("256")
    reader.field("Width to train").fill("1024")
    expect(reader.page.locator("#curves svg").first).to_contain_text("1024")


def test_pasted_nonsense_is_told_at_its_field(reader: Reader) -> None:
    reader.open("model=files&base_file=nonsense&target_file=x")
    expect(reader.page.locator("#problem-base_file")).to_contain_text("Tuned model has the line “nonsense”")


def test_a_number_opens_to_where_it_comes_from(reader: Reader) -> None:
    reader.open("parameterization=mup&optimizer=adamw&depth_rule=completep")
    reader.number("hidden", "Epsilon").click()
    opened = reader.page.get_by_role("region", name="Where the number comes from")
    expect(opened).to_contain_text("1.563e-10 = 1e-8 × 0.0625 × 0.25")
    expect(opened).to_contain_text("depth: CompleteP, Dey et al. 2025")
    expect(opened).to_contain_text("∝ width^−1 (exponent 1)")
    expect(opened).to_contain_text("Everett et al. 2024")
    expect(opened).to_contain_text("small_base_width")
    reader.field("Width to train at").fill("512")
    expect(opened).to_contain_text("1.25e-9 = ")  # it follows
    opened.get_by_role("button", name="Close").click()
    expect(opened).to_be_hidden()
    assert reader.focused() == "hidden|epsilon|first"


def test_a_role_has_values_of_its_own(reader: Reader, allowed: list[str]) -> None:
    allowed.append("422")
    reader.open()
    reader.page.get_by_text("By role", exact=True).last.click()
    reader.field("hidden: learning rate").fill("0.01")
    reader.shows("hidden", "6.25e-4")  # 0.01 ÷ 16
    reader.shows("embedding", "0.003")
    reader.field("vector: epsilon").fill("-1")
    expect(reader.page.locator("#problem-epsilon_vector")).to_contain_text("Vector: epsilon must be greater than")
    reader.open("learning_rate_hidden=0.01&learning_rate=")
    expect(reader.field("hidden: learning rate")).to_be_visible()  # what holds something is unfolded
    expect(reader.page.locator("#problem-learning_rate")).to_contain_text("Learning rate is empty")


def test_a_role_has_a_constant(reader: Reader, allowed: list[str]) -> None:
    allowed.append("422")
    reader.open()
    reader.page.get_by_text("By role", exact=True).last.click()
    reader.field("hidden: γ").fill("2")
    reader.shows("hidden", "3.75e-4")  # 0.003 × 2 ÷ 16
    reader.shows("embedding", "0.003")
    reader.field("hidden: γ").fill("0")
    expect(reader.page.locator("#problem-gamma_hidden")).to_have_text("Hidden: γ must be greater than 0, not 0.")
    reader.open("gamma_readout=3")
    expect(reader.field("readout: γ")).to_be_visible()  # what holds something is unfolded
    reader.shows("readout", "5.625e-4")


def test_an_alignment_that_was_measured(reader: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("422")
    reader.open()
    expect(reader.field("hidden: α")).to_be_hidden()
    reader.field("Alignment").select_option("measured")
    expect(page.locator("#problem-alignment_hidden_alpha")).to_have_text("Hidden: α is empty; give a number.")
    numbers = {"hidden: α": "0.75", "hidden: ω": "0.5", "hidden: u": "0.7", "readout: α": "1", "readout: u": "1.5"}
    for label, text in {**numbers, "readout: ω": "0.5"}.items():
        reader.field(label).fill(text)
    expect(page.locator("#problem-alignment_readout_u")).to_have_text(
        "Readout: u must be less than or equal to 1, not 1.5."
    )
    expect(reader.field("readout: u")).to_have_attribute("aria-invalid", "true")
    reader.field("readout: u").fill("1")
    reader.shows("hidden", "×0.125")  # width^−¾, by the larger of α and u
    expect(page).to_have_url(re.compile("alignment_readout_u=1(&|$)"))
    reader.open(page.url.partition("#")[2])
    expect(reader.field("hidden: u")).to_have_value("0.7")
    reader.shows("hidden", "×0.125")


def test_two_measured_alignments_side_by_side(reader: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("422")
    reader.open("compare_parameterization=standard")
    expect(reader.field("its hidden: α")).to_be_hidden()
    reader.field("Its alignment").select_option("measured")
    for name in ("hidden: α", "hidden: ω", "hidden: u", "readout: α", "readout: ω", "readout: u"):
        reader.field(f"its {name}").fill("0.5")
    reader.shows("hidden", "×0.25", side="second")  # width^−½
    reader.shows("hidden", "×0.0625")
    reader.field("its readout: ω").fill("0.4")
    told = "Its readout: ω must be greater than or equal to 0.5, not 0.4."
    expect(page.locator("#problem-compare_alignment_readout_omega")).to_have_text(told)
    expect(page.locator("#answer")).not_to_have_class("void")  # the first is as it was


def test_alignments_that_differ_in_numbers_alone_are_told_apart(reader: Reader, page: Page) -> None:
    fields = [f"{role}_{name}" for role in ("hidden", "readout") for name in ("alpha", "omega", "u")]
    sides = {"alignment": 0.5, "compare_alignment": 0.75}
    numbers = "".join(f"&{side}_{field}={value}" for side, value in sides.items() for field in fields)
    reader.open(f"compare_parameterization=standard&alignment=measured&compare_alignment=measured{numbers}")
    reader.shows("hidden", "×0.25")
    reader.shows("hidden", "×0.0625", side="second")  # ω counts too
    expect(page.get_by_role("group", name="Download the figure of standard, compared")).to_be_visible()


PARAMETERS = [(rule, each) for rule in NAMED_RULES for each in parameters_of(rule)]


@pytest.mark.parametrize(
    ("rule", "parameter"), PARAMETERS, ids=[f"{rule.word}_{each.name}" for rule, each in PARAMETERS]
)
def test_a_rule_brings_its_parameters(
    reader: Reader, page: Page, allowed: list[str], rule: type[NamedRule], parameter: RuleParameter
) -> None:
    """Each goes into the request, and into the address; out of range it is told at its field, in words."""
    allowed.append("422")
    prefix = f"{rule.about}_{rule.word}_"
    needed = [each for each in parameters_of(rule) if each.is_required and each != parameter]
    reader.open("&".join(f"{prefix}{each.name}={each.high}" for each in needed))
    box = page.locator(f"[name={prefix}{parameter.name}]")
    expect(box).to_be_hidden()
    page.evaluate("for (const fold of document.querySelectorAll('#transfer details')) fold.open = true")
    listed = {about: name for name, about in RULES.items()}
    page.locator(f"[name={listed[rule.about]}]").select_option(rule.word)
    expect(box).to_be_visible()
    assert box.get_attribute("aria-label") == parameter.label
    low, high = parameter.low, parameter.high
    text, value = {
        "number": (str(low + 0.25), low + 0.25),
        "interval": (f"−0.5 to {high:g}", [-0.5, high]),
        "text": ("three sweeps", "three sweeps"),
    }[parameter.kind]
    with page.expect_request(lambda request: chosen(request, rule).get(parameter.name) == value):
        box.fill(text)
    expect(page).to_have_url(re.compile(f"{prefix}{parameter.name}="))
    if parameter.kind == "text":
        return
    box.fill(f"{low - 1:g}" if parameter.kind == "number" else f"{high:g} to {low:g}")
    told = page.locator(f"#problem-{prefix}{parameter.name}")
    expect(told).to_contain_text(f"“{parameter.label}” is ")
    expect(told).to_contain_text("; give ")
    box.fill("much")
    expect(told).to_contain_text(f"{parameter.label} must be ")
    box.fill("")
    if parameter.is_required or parameter.name == "noise_scale":  # of which the rule itself says how to measure it
        expect(told).to_contain_text("is missing")
    else:
        expect(told).to_be_hidden()


def chosen(request: Request, rule: type[NamedRule]) -> dict[str, Any]:
    """The rule in the body of a transfer, with its parameters."""
    found = json.loads(request.post_data or "{}").get("rules", {}).get(rule.about)
    return found if isinstance(found, dict) else {}


def test_a_copy_carries_what_the_fields_say(reader: Reader, page: Page) -> None:
    reader.open(
        "depth_rule=completep&depth_completep_alpha=0.5&gamma_hidden=2&alignment=measured&"
        + "&".join(f"alignment_{role}_{name}=0.5" for role in ("hidden", "readout") for name in ("alpha", "omega", "u"))
    )
    reader.shows("hidden", "7.5e-4")  # 0.003 × 2 × 16^−½ × 4^−½
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#export-told")).to_contain_text("is copied.")
    plan = json.loads(page.evaluate("navigator.clipboard.readText()"))
    hidden = next(layer for layer in plan["layers"] if layer["role"] == "hidden")
    assert hidden["learning_rate"]["value"] == pytest.approx(0.003 * 2 / 4 / 2)
    assert "alignment" in json.dumps(plan)


def test_what_else_a_model_has(reader: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("422")
    reader.open()
    expect(reader.field("Tuned head width")).to_be_hidden()
    page.get_by_text("Attention, outputs, multipliers").click()
    sizes = {"Tuned head width": 64, "Head width to train": 128, "Tuned outputs": 10, "Outputs to train": 10}
    for label, size in sizes.items():
        reader.field(label).fill(str(size))
    expect(page.locator("#warnings")).to_contain_text("small_output_dimension")
    reader.field("Tuned attention scale").fill("0.25")
    page.get_by_text("For the model and its training as a whole").click()
    expect(page.locator("#whole")).to_contain_text("the base's 0.25 × d_base/d_head")
    reader.field("Queries and keys are normalised").check()
    expect(page.locator("#whole")).not_to_contain_text("d_base/d_head")
    code = reader.field("What the code multiplies by")
    code.fill("readout: fan_in^99")
    told = page.locator("#problem-code_multipliers")
    expect(told).to_contain_text("What the code multiplies by must be less than or equal to 2, not 99.")
    code.fill("readout: fan_out")
    expect(told).to_contain_text("has the line “readout: fan_out”; write a role")
    code.fill("readout: fan_in^−1, forward only")
    reader.shows("readout", "0.003")  # 1/n on the logits, and so no 1/16 on the rate
    expect(page).to_have_url(re.compile("forward"))
    reader.open(page.url.partition("#")[2] + "&gradient_rms=1e-9")
    expect(reader.field("Queries and keys are normalised")).to_be_checked()
    reader.shows("readout", "0.003")
    expect(page.locator("#warnings")).to_contain_text("epsilon_near_gradient")
    expect(reader.field("Gradient RMS")).to_be_visible()


def test_a_code_multiplier_names_a_role_or_tensors(reader: Reader, page: Page) -> None:
    reader.open("model=architecture&target_depth=8")
    page.get_by_text("Attention, outputs, multipliers").click()
    expect(reader.field("Tuned head width")).to_be_hidden()  # a described model has its own
    told = [
        {"tensors": ["lm_head.weight", "model.embed_tokens.weight"], "of": "fan_out", "power": 0.5, "frozen": True},
        {"role": "hidden", "of": "fan_in", "power": -0.5},
    ]
    with page.expect_request(lambda request: json.loads(request.post_data or "{}").get("code_multipliers") == told):
        reader.field("What the code multiplies by").fill(
            "lm_head.weight, model.embed_tokens.weight: fan_out^0.5, frozen\nhidden: fan_in^-0.5"
        )


def test_published_laws_are_compared(reader: Reader, page: Page) -> None:
    reader.open("optimizer=adamw&learning_rate=0.1")
    page.get_by_text("Beyond width").click()
    expect(reader.field("Parameters to train")).to_be_hidden()
    page.get_by_label("Compare with published laws").check()
    expect(reader.field("Tokens in all")).to_be_visible()
    reader.field("Parameters to train").fill("1000000000")
    expect(page.locator("#warnings")).to_contain_text("published_laws_differ")
    expect(page).to_have_url(re.compile("published_laws=yes"))


def test_a_rule_follows_the_sweep_of_the_exponents(reader: Reader, page: Page) -> None:
    runs = [
        {**row, "learning_rate": row["learning_rate"] * 2 ** (power / 4), "tokens": 1e9 * 2**power}
        for power in range(4)
        for row in rows()
    ]
    with httpx.Client(base_url=reader.address, trust_env=False, timeout=60) as api:
        uploaded(cast(Client, api), runs, name="over tokens", parameterization="ntk", optimizer="lion")
    reader.open("parameterization=ntk&optimizer=lion&epsilon=")
    page.get_by_text("Beyond width").click()
    measured = reader.field("Training-length rule").get_by_role("option", name="measured", include_hidden=True)
    expect(measured).to_have_attribute("hidden", "")
    reader.field("Exponents").select_option(label="over tokens: sweep of 80 runs")
    expect(measured).not_to_have_attribute("hidden", "")
    reader.field("Training-length rule").select_option("measured")
    reader.field("Tuned at tokens in all").fill("1000000000")
    reader.field("Tokens in all").fill("8000000000")
    reader.number("hidden").click()
    expect(page.locator("#explanation")).to_contain_text("horizon_interval")


def test_a_choice_brings_its_fields(reader: Reader, allowed: list[str]) -> None:
    allowed.append("422")
    reader.open("parameterization=mup&optimizer=soap&weight_decay_mode=independent&form=table_8&weight_decay=0.1")
    reader.field("Block size").fill("128")
    reader.number("hidden").click()
    opened = reader.page.get_by_role("region", name="Where the number comes from")
    expect(opened).to_contain_text("blocks")
    expect(reader.page.locator("#provenance")).to_contain_text("Weight decay is independent")
    reader.shows("readout", "0.0625", "Multiplier")  # 1/m is table 8's
    reader.page.get_by_text("Beyond width").click()
    reader.page.get_by_text("More rules").click()
    reader.field("Schedule rule").select_option("keep_share")
    expect(reader.page.locator("#problem-base_steps")).to_contain_text("Tuned steps")
    for label, steps in (("Tuned steps", "1000"), ("Steps to train", "8000"), ("Tuned warm-up", "100")):
        reader.field(label).fill(steps)
    reader.field("Rule for experts").select_option("complete_mue")
    for label, experts in (("Tuned experts", 8), ("Experts to train", 64), ("Tuned active", 2), ("Active to train", 8)):
        reader.field(label).fill(str(experts))
    expect(reader.page.locator("#problem-experts_rule")).to_contain_text("derived for Adam's update")
    reader.field("Optimizer").select_option("adam")  # its fields leave, and what they hold is not sent
    expect(reader.field("Block size")).to_be_hidden()
    reader.page.get_by_text("For the model and its training as a whole").click()
    expect(reader.page.locator("#whole")).to_contain_text("warmup steps800")
    expect(reader.page.locator("#whole")).to_contain_text("route scale8")


def test_the_exponents_of_a_sweep_are_offered_in_its_setting(reader: Reader) -> None:
    with httpx.Client(base_url=reader.address, trust_env=False, timeout=60) as api:
        sweep = uploaded(cast(Client, api), name="my sweep", parameterization="ntk", optimizer="sgd")
    reader.open("parameterization=ntk")
    expect(reader.page.locator("#offered")).to_contain_text("measured in another setting")
    reader.field("Optimizer").select_option("sgd")
    reader.field("Exponents").select_option(label="my sweep: sweep of 20 runs")
    expect(reader.page.locator("#provenance")).to_contain_text("measured by the sweep my sweep")
    expect(reader.page).to_have_url(re.compile(f"exponents=sweep%3A{sweep}"))


def test_two_prescriptions_side_by_side(reader: Reader) -> None:
    reader.open("weight_decay=0.1")
    reader.field("Against parameterization").select_option("mup")
    reader.shows("embedding", "7.5e-4", side="second")
    reader.shows("embedding", "0.003")
    different = reader.number("embedding", side="second")
    expect(different.get_by_role("img", name="differs")).to_be_visible()
    expect(reader.number("hidden", side="second").get_by_role("img", name="differs")).to_have_count(0)
    expect(reader.page.locator(".legend").first).to_contain_text("muP: embedding, readout")
    reader.field("Its optimizer").select_option("sgd")
    expect(reader.page.locator("#layers")).to_contain_text("muP, SGD")


def test_the_address_holds_the_whole_state(reader: Reader) -> None:
    reader.open()
    reader.field("Optimizer").select_option("adamw")
    reader.field("Weight decay").fill("0.05")
    reader.field("Against parameterization").select_option("ntk")
    reader.page.get_by_text("Beyond width").click()
    reader.field("Batch rule").select_option("square_root")
    reader.field("Tokens per batch").fill("524288")
    reader.number("readout", "Weight decay").click()
    expect(reader.page.locator("#layers")).to_contain_text("NTK")
    expect(reader.page).to_have_url(re.compile("target_batch=524288"))
    table, address = reader.rows().all_inner_texts(), reader.page.url
    reader.open(address.partition("#")[2])
    expect(reader.field("Tokens per batch")).to_have_value("524288")
    expect(reader.number("readout", "Weight decay")).to_have_attribute("aria-expanded", "true")
    assert reader.rows().all_inner_texts() == table
    reader.page.get_by_role("button", name="Start over").click()
    reader.shows("hidden", "1.875e-4")
    expect(reader.field("Optimizer")).to_have_value("adam")


def test_an_error_names_its_field_and_greys_the_numbers(reader: Reader, allowed: list[str]) -> None:
    allowed.append("422")
    reader.open()
    answer = reader.page.locator("#answer")
    for wrong, told in (
        ("-1", "Learning rate must be greater than 0, not -1."),
        ("much", "Learning rate must be a number"),
    ):
        reader.field("Learning rate").fill(wrong)
        expect(reader.page.locator("#problem-learning_rate")).to_contain_text(told)
        expect(reader.field("Learning rate")).to_have_attribute("aria-invalid", "true")
        expect(answer).to_have_class("void")
        expect(reader.page.get_by_role("alert").filter(has_text=told)).to_contain_text("The grey numbers")
    reader.page.get_by_role("button", name="Copy", exact=True).click()
    expect(reader.page.locator("#export-error")).to_contain_text("There is no plan to write")
    reader.field("Learning rate").fill("0.003")
    expect(answer).not_to_have_class("void")
    expect(reader.page.locator("#problem-learning_rate")).to_be_hidden()


def rate(request: Request) -> float | None:
    """The base's learning rate in the body of a transfer."""
    return json.loads(request.post_data)["base"]["learning_rate"] if request.post_data else None


def test_an_answer_that_comes_too_late_is_not_shown(reader: Reader, page: Page) -> None:
    reader.open()

    def hold(route: Route) -> None:
        if rate(route.request) != 0.1:
            route.continue_()

    page.route("**/v1/transfers", hold)
    with page.expect_request(lambda request: rate(request) == 0.1):
        reader.field("Learning rate").fill("0.1")
    with page.expect_event(
        "requestfailed", lambda request: rate(request) == 0.1
    ):  # broken off, since nobody waits for it
        reader.field("Learning rate").fill("0.2")
    reader.shows("embedding", "0.2")


@pytest.mark.parametrize(
    ("form", "part"), [("json", '"digest"'), ("csv", "name,role,fan_in"), ("torch", "import torch")]
)
def test_a_plan_is_copied_in_any_form(reader: Reader, form: str, part: str) -> None:
    reader.open("model=architecture&target_depth=8&optimizer=adamw&weight_decay=0.1&init_std=0.02")
    expect(reader.field("Form").locator("option")).to_have_count(16)
    reader.field("Form").select_option(form)
    reader.page.get_by_role("button", name="Copy", exact=True).click()
    expect(reader.page.locator("#export-told")).to_contain_text("is copied.")
    assert part in reader.page.evaluate("navigator.clipboard.readText()")


def test_the_link_is_copied_as_the_page_stands(reader: Reader) -> None:
    reader.open()
    reader.field("Learning rate").fill("0.007")
    reader.page.get_by_role("button", name="Copy the link").click()
    expect(reader.page.locator("#export-told")).to_contain_text("The link is copied")
    assert reader.page.evaluate("navigator.clipboard.readText()") == f"{reader.address}/#learning_rate=0.007"


def test_a_plan_is_downloaded(reader: Reader) -> None:
    reader.open()
    reader.field("Form").select_option("yaml")
    with reader.page.expect_download() as started:
        reader.page.get_by_role("button", name="Download").click()
    assert started.value.suggested_filename == "plan.yaml"
    assert "layers:" in Path(started.value.path()).read_text(encoding="utf-8")


def test_the_figure_is_downloaded_in_every_format(reader: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("429")
    reader.open("compare_parameterization=mup")
    figures = page.get_by_role("group", name="Download the figure of muP")
    for format_, head in (("SVG", b"<svg"), ("PDF", b"%PDF-"), ("PNG", b"\x89PNG"), ("CSV", b"quantity,unit,")):
        with page.expect_download() as started:
            figures.get_by_role("button", name=format_).click()
        assert started.value.suggested_filename == f"plan-2.{format_.lower()}"
        content = Path(started.value.path()).read_bytes()
        assert content.startswith(head)
    assert b"learning_rate,value,embedding,4096,0.00075" in content
    page.route("**/plot.svg", lambda route: route.fulfill(status=429, json={"detail": "It is busy."}))
    figures.get_by_role("button", name="SVG").click()
    expect(page.locator("#figure-error")).to_have_text("It is busy.")


def test_a_form_that_refuses_says_why(reader: Reader, allowed: list[str]) -> None:
    allowed.append("422")
    reader.open()
    reader.field("Form").select_option("torch")
    reader.page.get_by_role("button", name="Copy", exact=True).click()
    expect(reader.page.locator("#export-error")).to_contain_text("lists no tensors")


def test_the_plan_follows_a_slider_that_does_not_rest(reader: Reader, page: Page) -> None:
    page.clock.install()
    reader.open()
    page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    with page.expect_request("**/v1/transfers"):
        for _ in range(6):  # never long enough in one place for a reader who types
            reader.field("Width to train at, slider").press("ArrowRight")
            page.clock.run_for(50)
