"""POST /v1/transfers: the examples, the numbers, and exponents of a calibration."""

import json
import math
from typing import Any

import pytest

from service.app import create_app
from service.settings import Settings
from service.transfers.answer import PlanBody
from service.transfers.examples import EXAMPLES
from service.transfers.schemas import MAX_TENSORS, TransferBody
from tests.api.client import Client, client_of, problem
from tests.api.samples import CONTRACT, changed, finished, submit
from widthwise.errors import InvalidInputError
from widthwise.model import MAX_COUNT, MAX_VALUE, MAX_WIDTH
from widthwise.tensors.placement import MAX_AXIS
from widthwise.vocabulary import Optimizer, Role


def layer(plan: dict[str, Any], role: str) -> dict[str, Any]:
    return next(layer for layer in plan["layers"] if layer["role"] == role)


def tensor(plan: dict[str, Any], name: str) -> dict[str, Any]:
    return next(tensor for tensor in plan["tensors"] if tensor["name"] == name)


def sides(readout_omega: float, hidden_u: float = 1.0) -> dict[str, dict[str, float]]:
    """A measured alignment: that of `full`, but for the two numbers."""
    full = {"alpha": 1.0, "omega": 0.5, "u": 1.0}
    return {"hidden": {**full, "u": hidden_u}, "readout": {**full, "omega": readout_omega}}


def test_the_rules_of_decay_stand_beside_each_other(client: Client) -> None:
    plan = client.post("/v1/transfers", json=changed("alternatives", ["weight_decay"])).json()
    PlanBody.model_validate(plan)
    compared = plan.pop("alternatives")["weight_decay"]
    assert "timescale" in {rule["rule"] for rule in compared["rules"]}
    assert plan == client.post("/v1/transfers", json=CONTRACT).json()
    problem(client.post("/v1/transfers", json=changed("alternatives", ["decay"])), 422, "invalid-request")


def test_a_schedule_is_carried(client: Client) -> None:
    base = {**CONTRACT["base"], "steps": 1000, "warmup_steps": 50, "cooldown_share": 0.2}
    asked = {**CONTRACT, "base": base, "target": {**CONTRACT["target"], "steps": 4000}}
    plan = client.post("/v1/transfers", json=asked | {"rules": {"schedule": "keep_share"}}).json()
    PlanBody.model_validate(plan)
    assert plan["training"]["warmup_steps"]["value"] == 200
    assert plan["training"]["cooldown_share"]["value"] == 0.2
    both = asked | {"base": base | {"cooldown_steps": 1}}
    problem(client.post("/v1/transfers", json=both), 422, "invalid-input")


def test_contract_example(client: Client) -> None:
    response = client.post("/v1/transfers", json=CONTRACT)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    plan = response.json()
    # Everett et al. 2024, Table 1: standard, Adam, full: c = (0, 1, 1); the ratio is 16.
    assert (
        layer(plan, "embedding")["learning_rate"].items()
        >= {"value": 0.003, "multiplier": 1.0, "exponent": 0.0}.items()
    )
    assert (
        layer(plan, "hidden")["learning_rate"].items()
        >= {"value": 0.0001875, "multiplier": 0.0625, "exponent": 1.0}.items()
    )
    assert layer(plan, "readout")["learning_rate"]["value"] == 0.0001875
    assert layer(plan, "hidden")["epsilon"].items() >= {"value": 2.5e-9, "multiplier": 0.25, "exponent": 0.5}.items()
    assert layer(plan, "hidden")["weight_decay"]["value"] is None
    assert "Everett" in layer(plan, "hidden")["reason"]
    assert [warning["code"] for warning in plan["warnings"]] == ["small_base_width"]
    assert plan["provenance"]["exponents"]["source"] == "theory"


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_answers_in_the_documented_form(client: Client, name: str) -> None:
    response = client.post("/v1/transfers", json=EXAMPLES[name]["value"])
    assert response.status_code == 200
    assert PlanBody.model_validate_json(response.content, strict=True, extra="forbid")


def test_tensors_get_values_for_their_own_shapes(client: Client) -> None:
    plan = client.post("/v1/transfers", json=EXAMPLES["tensors"]["value"]).json()
    roles = {tensor["name"]: tensor["role"] for tensor in plan["tensors"]}
    assert roles["embed.weight"] == "embedding"
    assert roles["norm.weight"] == "vector"
    assert roles["experts.up.weight"] == "hidden"
    down = tensor(plan, "mlp.down.weight")
    assert (down["fan_in"], down["fan_out"]) == (4096, 1024)
    assert down["learning_rate"]["multiplier"] == 0.25


def test_base_equal_to_target_changes_nothing(client: Client) -> None:
    plan = client.post("/v1/transfers", json=changed("target.width", 256)).json()
    quantities = [value for layer in plan["layers"] for value in layer.values() if isinstance(value, dict)]
    assert len(quantities) == 30
    assert all(quantity["multiplier"] == 1.0 for quantity in quantities)


def test_learning_rate_by_role(client: Client) -> None:
    by_role = {"embedding": 0.01, "hidden": 0.002, "readout": 0.004, "vector": 0.01, "scalar": 0.01}
    plan = client.post("/v1/transfers", json=changed("base.learning_rate", by_role)).json()
    assert layer(plan, "hidden")["learning_rate"]["value"] == pytest.approx(0.002 / 16)
    assert layer(plan, "readout")["learning_rate"]["value"] == pytest.approx(0.004 / 16)


def test_unplaced_tensors_are_listed(client: Client) -> None:
    tensors = [
        {"name": "plain", "base_shape": [256, 512], "target_shape": [1024, 2048]},
        {"name": "fine", "base_shape": [256], "target_shape": [1024]},
        {"name": "head", "base_shape": [100, 256], "target_shape": [100, 1024]},
    ]
    body = problem(client.post("/v1/transfers", json=changed("tensors", tensors)), 422, "unplaced-tensors")
    assert [entry["name"] for entry in body["tensors"]] == ["plain", "head"]
    assert "layout" in body["tensors"][0]["problem"]
    assert "role" in body["tensors"][1]["problem"]
    assert body["errors"][0]["field"] == "tensors"


def test_many_tensors(client: Client) -> None:
    """More than a request that is answered on the event loop may have."""
    tensors = [{"name": f"w{i}", "base_shape": [256, 256], "target_shape": [1024, 1024]} for i in range(1500)]
    plan = client.post("/v1/transfers", json=changed("tensors", tensors)).json()
    assert len(plan["tensors"]) == 1500


def test_sizes_beyond_floating_point_are_refused(client: Client) -> None:
    huge = [
        {
            "name": "w",
            "base_shape": [1] * 8,
            "target_shape": [MAX_AXIS] * 8,
            "fan_in_axes": [0, 1, 2, 3],
            "fan_out_axes": [4, 5, 6, 7],
        }
    ]
    body = changed("tensors", huge)
    response = client.post("/v1/transfers", json={**body, "parameterization": "mean_field", "optimizer": "adafactor"})
    assert response.status_code in (200, 422)
    assert "Infinity" not in response.text
    assert "NaN" not in response.text


@pytest.mark.parametrize(
    ("path", "largest", "beyond"),
    [
        ("base.learning_rate", MAX_VALUE, 1.1 * MAX_VALUE),
        ("base.epsilon", MAX_VALUE, 1.1 * MAX_VALUE),
        ("base.tokens", MAX_COUNT, MAX_COUNT + 1),
        ("target.batch_tokens", MAX_COUNT, float(MAX_COUNT)),  # as a float it is one more
        ("target.width", MAX_WIDTH, MAX_WIDTH + 1),
    ],
)
def test_the_bounds_are_the_librarys(client: Client, path: str, largest: float, beyond: float) -> None:
    response = client.post("/v1/transfers", json=changed(path, largest))
    assert response.status_code == 200, response.text
    assert client.post("/v1/transfers", json=changed(path, beyond)).status_code == 422


def test_the_largest_axis_is_the_librarys(client: Client) -> None:
    def status(size: float) -> int:
        shapes = {"base_shape": [64, 256], "target_shape": [64, size]}
        tensor = {"name": "w", **shapes, "fan_in_axes": [0], "fan_out_axes": [1]}
        return client.post("/v1/transfers", json=changed("tensors", [tensor])).status_code

    assert status(MAX_AXIS) == 200
    assert status(float(MAX_AXIS)) == 200  # as the document has it: 64.0 is an integer
    assert status(MAX_AXIS + 1) == 422
    assert status(float(2 * MAX_AXIS)) == 422


@pytest.mark.parametrize("optimizer", list(Optimizer))
def test_epsilon_alone_may_be_missing(client: Client, optimizer: Optimizer) -> None:
    response = client.post("/v1/transfers", json=changed("optimizer", optimizer.value))
    plan = PlanBody.model_validate_json(response.content, strict=True, extra="forbid")
    without = optimizer in (Optimizer.SGD, Optimizer.ADAM_ATAN2, Optimizer.LION, Optimizer.SCION)
    of_hidden = optimizer.value.startswith("muon")  # the rest has AdamW's
    missing = {layer.role.value for layer in plan.layers if layer.epsilon is None}
    assert missing == (set(Role) if without else {"hidden"} if of_hidden else set())


class TestCalibratedExponents:
    """A transfer with what a calibration measured."""

    def test_uses_them_and_says_so(self, client: Client) -> None:
        identifier = finished(client, drift=0.25)
        body = changed("exponents", {"source": "calibration", "id": identifier})
        response = client.post("/v1/transfers", json=body)
        assert response.status_code == 200, response.text
        plan = response.json()
        # theory's c = 1 plus the drift that the trials were made with
        assert layer(plan, "hidden")["learning_rate"]["exponent"] == pytest.approx(1.25, abs=0.02)
        assert layer(plan, "embedding")["learning_rate"]["exponent"] == pytest.approx(0.25, abs=0.02)
        provenance = plan["provenance"]["exponents"]
        assert provenance["source"] == "calibration"
        assert provenance["calibration_id"] == identifier
        # measured at small widths, and used far beyond them
        assert "measured_extrapolation" in {warning["code"] for warning in plan["warnings"]}
        assert provenance["widths"] == [64, 128, 256]
        estimates = {estimate["role"]: estimate for estimate in provenance["estimates"]}
        low, high = estimates["hidden"]["interval"]
        assert low < 1.25 < high
        assert estimates["hidden"]["theory"] == 1.0

    def test_unknown(self, client: Client) -> None:
        body = changed("exponents", {"source": "calibration", "id": "cal_nothing"})
        found = problem(client.post("/v1/transfers", json=body), 404, "not-found")
        assert "cal_nothing" in found["detail"]

    def test_unfinished(self, client: Client) -> None:
        body = changed("exponents", {"source": "calibration", "id": submit(client)})
        assert "queued" in problem(client.post("/v1/transfers", json=body), 409, "conflict")["detail"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [("parameterization", "ntk"), ("optimizer", "sgd"), ("alignment", "none"), ("readout_omega", 1.0)],
    )
    def test_measured_in_another_setting(self, client: Client, field: str, value: Any) -> None:
        body = changed("exponents", {"source": "calibration", "id": finished(client)})
        found = problem(client.post("/v1/transfers", json={**body, field: value}), 422, "invalid-input")
        assert found["errors"][0]["pointer"] == f"#/{field}"
        assert field in found["detail"]

    def test_another_omega_than_the_default_is_refused(self, client: Client) -> None:
        body = changed("exponents", {"source": "calibration", "id": finished(client, readout_omega=1.0)})
        found = problem(client.post("/v1/transfers", json=body), 422, "invalid-input")
        assert found["errors"][0]["pointer"] == "#/readout_omega"
        assert "readout_omega 1.0" in found["detail"]
        assert "asks for 0.5" in found["detail"]
        assert client.post("/v1/transfers", json={**body, "readout_omega": 1.0}).status_code == 200

    @pytest.mark.parametrize(
        ("calibrated", "asked"),
        [
            ({"readout_omega": 0.5}, {}),
            ({}, {"readout_omega": 0.5}),
            ({"alignment": sides(1.0)}, {"readout_omega": 1.0}),
            ({"readout_omega": 1.0}, {"alignment": sides(1.0)}),
            ({"alignment": sides(1.0), "readout_omega": 0.5}, {"alignment": sides(0.5)}),
            ({"alignment": sides(0.75)}, {"alignment": sides(0.75)}),
        ],
        ids=str,
    )
    def test_the_same_setting_written_differently(
        self, client: Client, calibrated: dict[str, Any], asked: dict[str, Any]
    ) -> None:
        body = changed("exponents", {"source": "calibration", "id": finished(client, **calibrated)})
        response = client.post("/v1/transfers", json={**body, **asked})
        assert response.status_code == 200, response.text

    def test_other_measured_exponents_are_refused(self, client: Client) -> None:
        body = changed("exponents", {"source": "calibration", "id": finished(client, alignment=sides(0.75))})
        response = client.post("/v1/transfers", json={**body, "alignment": sides(0.75, hidden_u=0.5)})
        found = problem(response, 422, "invalid-input")
        assert found["errors"][0]["pointer"] == "#/alignment"
        assert "other exponents" in found["detail"]

    def test_only_they_need_a_database(self, settings: Settings) -> None:
        with client_of(create_app(settings)) as client:  # its store opens when it starts, which it has not
            assert client.post("/v1/transfers", json=CONTRACT).status_code == 200
            body = changed("exponents", {"source": "calibration", "id": "cal_any"})
            problem(client.post("/v1/transfers", json=body), 503, "not-ready")


def test_like_tensors_are_refused_in_one_entry(client: Client) -> None:
    routers = [{"name": f"h.{i}.router", "base_shape": [8, 64], "target_shape": [8, 256]} for i in range(200)]
    table = {"name": "wte", "base_shape": [99, 64], "target_shape": [99, 256]}
    body = problem(client.post("/v1/transfers", json=changed("tensors", [*routers, table])), 422, "unplaced-tensors")
    assert [(each["name"], each["count"]) for each in body["tensors"]] == [("h.*.router", 200), ("wte", 1)]
    assert "'h.*.router' (×200): " in body["detail"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exponents": {"source": "guess"}}, "source is 'guess'; it must be one of 'theory', 'calibration'"),
        ({"exponents": {}}, "The field 'source' is required"),
        ({"optimizer": "sgdd"}, "It must be 'sgd'"),
        ({"target": {"width": 2.5}}, "It must be an integer from 1"),
        ({"base": {"width": 256, "learning_rate": {"attention": 0.1}}}, "It must be 'embedding'"),
        ({"code_multipliers": [{"power": 0.5, "of": "fan_out"}]}, "give either tensors or role"),
        ({"code_multipliers": [{"power": "half", "of": "fan_out", "role": "embedding"}]}, "It must be a valid number"),
    ],
)
def test_a_refusal_is_said_in_our_words(client: Client, change: dict[str, Any], message: str) -> None:
    response = client.post("/v1/transfers", json={**CONTRACT, **change})
    assert response.status_code == 422
    assert message in response.json()["errors"][0]["message"]
    assert not any(words in response.text for words in ("Value error", "Input tag", "Input should", "discriminator"))


def test_the_request_says_what_the_code_multiplies_and_the_plan_has_the_models_part(client: Client) -> None:
    asked = {
        **CONTRACT,
        "base": {**CONTRACT["base"], "head_dim": 16},
        "target": {**CONTRACT["target"], "head_dim": 64},
        "code_multipliers": [{"role": "embedding", "power": 0.5, "of": "fan_out"}],
    }
    response = client.post("/v1/transfers", json=asked)
    assert PlanBody.model_validate_json(response.content, strict=True, extra="forbid")
    plan = response.json()
    assert layer(plan, "embedding")["learning_rate"]["factors"] == {"width": 1.0, "code": 0.25}  # ×16, Adam: 1/√16
    assert plan["model"]["attention_scale"]["multiplier"] == 0.5
    assert plan["model"]["logit_multiplier"]["multiplier"] == 1.0


def test_the_codes_own_attention_scale_replaces_one_over_the_root(client: Client) -> None:
    sizes = {end: {**CONTRACT[end], "head_dim": 16, "attention_scale": 1.0} for end in ("base", "target")}
    sizes["target"]["head_dim"] = 64
    scale = client.post("/v1/transfers", json={**CONTRACT, **sizes}).json()["model"]["attention_scale"]
    assert (scale["value"], scale["multiplier"]) == (0.25, 0.25)


def test_a_model_of_more_tensors_than_a_request_may_list_is_refused() -> None:
    shapes = {"shapes": {f"w{i}": [1] for i in range(MAX_TENSORS + 1)}}
    asked = {**CONTRACT, "model": {"base": {"shapes": {}}, "target": shapes}}
    body = TransferBody.model_validate_json(json.dumps(asked))
    with pytest.raises(InvalidInputError, match=r"model\.target has 100001 tensors; the service answers for at most"):
        body.to_request()


def test_rules_beyond_width_are_named_and_listed(client: Client) -> None:
    asked = EXAMPLES["beyond_width"]["value"]
    plan = client.post("/v1/transfers", json=asked).json()
    assert [rule["name"] for rule in plan["rules"]] == ["width", "depth", "batch", "tokens", "weight_decay"]
    rate = layer(plan, "hidden")["learning_rate"]
    assert rate["factors"] == {
        "width": 0.25,
        "depth": 1.0,
        "batch": pytest.approx(2**0.5),
        "tokens": pytest.approx(20**-0.3),
    }
    assert rate["multiplier"] == pytest.approx(math.prod(rate["factors"].values()))
    assert plan["model"]["residual_multiplier"]["multiplier"] == 0.25
    assert plan["training"]["beta1"] is None
    assert plan["training"]["beta2"]["value"] == pytest.approx(0.95**2)
    assert plan["provenance"]["rules"]["depth"] == {"rule": "completep", "alpha": 1.0}
    without = client.post("/v1/transfers", json={**asked, "rules": {}}).json()
    assert {"depth_changed", "batch_changed", "horizon_changed"} <= {each["code"] for each in without["warnings"]}


def test_experts_adapters_and_blocks_are_asked_over_http(client: Client) -> None:
    size = {"experts": 8, "active_experts": 2, "shared_experts": 0, "rank": 4, "lora_alpha": 8}
    down = {"name": "down", "base_shape": [8, 64, 64], "target_shape": [8, 64, 256], "part": "expert_down"}
    b = {"name": "b", "base_shape": [64, 4], "target_shape": [64, 16], "part": "lora_b"}
    asked = {
        "parameterization": "mup",
        "optimizer": "adamw",
        "base": {**size, "learning_rate": 0.01},
        "target": {**size, "rank": 16},
        "tensors": [
            {**down, "role": "hidden", "fan_in_axes": [2], "fan_out_axes": [1]},
            {**b, "role": "hidden", "fan_in_axes": [1], "fan_out_axes": [0]},
        ],
        "rules": {"experts": "complete_mue", "rank": "rslora"},
    }
    plan = client.post("/v1/transfers", json=asked).json()
    multipliers = {each["name"]: each["forward_multiplier"]["multiplier"] for each in plan["tensors"]}
    assert multipliers == {"down": pytest.approx(1 / 4), "b": pytest.approx(1)}
    assert plan["model"]["route_scale"]["value"] == 2
    scale = plan["model"]["adapter_scale"]
    assert (scale["value"], scale["multiplier"]) == (2.0, 0.5)
    blocked = {**CONTRACT, "optimizer": "soap", "block_size": 64}
    factors = layer(client.post("/v1/transfers", json=blocked).json(), "hidden")["learning_rate"]["factors"]
    assert factors["blocks"] < 1


@pytest.mark.parametrize(
    ("rules", "field", "message"),
    [
        ({"depth": "deep"}, "rules.depth", "'completep'"),
        ({"depth": "completep"}, "base.depth", "give it at both ends"),
        ({"batch": {"rule": "surge"}}, "rules.batch.noise_scale", "three batches"),
    ],
)
def test_a_rule_that_cannot_act_is_refused_at_its_field(client: Client, rules, field, message) -> None:
    response = client.post("/v1/transfers", json={**CONTRACT, "rules": rules})
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["field"] == field
    assert message in error["message"]
