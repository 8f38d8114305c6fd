"""The calculator: every way to a plan, and everything that can be done with one."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.api.client import Client
from tests.api.test_sweeps import uploaded
from tests.browser.reader import Reader

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
