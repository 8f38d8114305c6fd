"""From two readings to a plan: sizes and ties from the models, decay kept away from gains, contradictions refused."""

from dataclasses import replace

import pytest

from tests.unit.reading.test_pairing import gain, matrix, table
from widthwise import Base, InvalidInputError, Target, Tensor, TransferRequest, transfer
from widthwise.caution import Caution
from widthwise.reading.model import Attention, ModelReading
from widthwise.transfers.plan import Plan
from widthwise.transfers.transfer import plan_of
from widthwise.vocabulary import Role


def model(width: int, depth: int = 2) -> ModelReading:
    """A model of gains and matrices whose head is tied to its table."""
    blocks = [
        parameter
        for index in range(depth)
        for parameter in (
            gain(f"layers.{index}.norm", width, index),
            matrix(f"layers.{index}.mlp", width, width, block=index),
        )
    ]
    head = replace(matrix("head", 100, width, Role.READOUT), tied_to="embed")
    return ModelReading(
        "test",
        (table("embed", 100, width), *blocks, head),
        attentions=(Attention("layers.0", depth, head_dim=64, scale=0.125),),
        blocks=(depth,),
        width=width,
        cautions=(Caution("opaque_operation", "something was not read"),),
    )


def plan(base: Base, target: Target | None = None, depth: int = 2) -> Plan:
    request = TransferRequest.of_models(
        model(1024), model(4096, depth), base=base, target=target, parameterization="standard", optimizer="adamw"
    )
    return plan_of(request)


def test_sizes_come_from_the_models() -> None:
    """Standard with Adam and full alignment: η ∝ 1/width for hidden tensors, by role and by tensor alike."""
    answer = plan(Base(learning_rate=1e-3))
    assert answer.layer("hidden").learning_rate.multiplier == 0.25
    assert answer.tensor("layers.1.mlp").learning_rate.multiplier == 0.25
    assert answer.tensor("head").tied_to == "embed"


def test_a_deeper_target_says_that_no_rule_covers_depth() -> None:
    answer = plan(Base(learning_rate=1e-3), depth=4)
    assert "depth_changed" in [caution.code for caution in answer.warnings]
    assert [tensor.name for tensor in answer.tensors][-2] == "layers.3.mlp"


def test_one_decay_is_kept_away_from_gains_and_a_mapping_is_followed() -> None:
    answer = plan(Base(learning_rate=1e-3, weight_decay=0.1))
    assert answer.tensor("layers.0.norm").weight_decay.value == 0
    assert answer.tensor("layers.0.mlp").weight_decay.value == 0.4
    mapped = plan(Base(learning_rate=1e-3, weight_decay={"vector": 0.1, "hidden": 0.1, "embedding": 0.1}))
    assert mapped.tensor("layers.0.norm").weight_decay.value == 0.1


def test_a_size_that_contradicts_the_model_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"base\.width is 512, and the model has 1024"):
        plan(Base(width=512, learning_rate=1e-3))
    with pytest.raises(InvalidInputError, match=r"target\.depth is 3, and the model has 2"):
        plan(Base(learning_rate=1e-3), Target(depth=3))
    assert plan(Base(width=1024, learning_rate=1e-3), Target(tokens=10**9))


@pytest.mark.parametrize(
    ("scales", "read"),
    [
        ((0.125,), None),  # 1/√64, which every rule assumes
        ((0.125 * 1.0049,), None),  # as bfloat16 may have it
        ((0.125 * 1.0051,), 0.125 * 1.0051),
        ((0.125 * 0.99,), 0.125 * 0.99),
        ((8.0,), 8.0),
        ((1 / 64, 1 / 64), 1 / 64),
        ((1 / 64, 1 / 32), None),  # more than one
        ((None,), None),
    ],
)
def test_a_scale_of_attention_that_is_not_the_usual_one_is_read(
    scales: tuple[float | None, ...], read: float | None
) -> None:
    attentions = tuple(Attention(f"layers.{k}", 1, head_dim=64, scale=scale) for k, scale in enumerate(scales))
    ends = [replace(model(width), attentions=attentions) for width in (1024, 4096)]
    words = {"parameterization": "standard", "optimizer": "adamw", "base": Base(learning_rate=1e-3)}
    request = TransferRequest.of_models(*ends, **words)
    assert (request.base.attention_scale, request.target.attention_scale) == (read, read)
    assert request.target.head_dim == 64


def test_what_a_reading_warns_of_is_said_once() -> None:
    codes = [caution.code for caution in plan(Base(learning_rate=1e-3)).warnings]
    assert codes.count("opaque_operation") == 1


def test_a_deeper_target_says_what_the_base_says_of_fewer_names() -> None:
    ends = (
        replace(model(width, depth), cautions=(Caution("router_as_hidden", f"{depth} routers"),))
        for width, depth in ((1024, 2), (4096, 4))
    )
    words = {"parameterization": "standard", "optimizer": "adamw", "base": Base(learning_rate=1e-3)}
    warnings = plan_of(TransferRequest.of_models(*ends, **words)).warnings
    assert [caution.message for caution in warnings if caution.code == "router_as_hidden"] == ["4 routers"]


LLAMA = {"model_type": "llama", "vocab_size": 100, "num_attention_heads": 4, "num_hidden_layers": 2}


def llama(width: int) -> dict[str, object]:
    return {**LLAMA, "hidden_size": width, "intermediate_size": 3 * width}


def test_the_librarys_transfer_takes_two_configurations() -> None:
    found = transfer(
        parameterization="standard",
        optimizer="adamw",
        base=Base(learning_rate=1e-3),
        model={"base": llama(256), "target": llama(1024)},
    )
    assert found.tensor("model.layers.1.mlp.down_proj.weight").learning_rate.multiplier == 0.25
    assert found.layer("hidden").learning_rate.multiplier == 0.25


def test_the_librarys_transfer_takes_two_readings() -> None:
    words = {"parameterization": "standard", "optimizer": "adamw", "base": Base(learning_rate=1e-3)}
    found = transfer(**words, model={"base": model(1024), "target": model(4096), "roles": {"layers.*.mlp": "hidden"}})
    assert found == plan(Base(learning_rate=1e-3))


def test_tensors_and_a_model_at_once_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="tensors and model are both given"):
        transfer(
            parameterization="standard",
            optimizer="adamw",
            base=Base(learning_rate=1e-3),
            tensors=[Tensor("a", (4, 4), (8, 8))],
            model={"base": llama(256), "target": llama(1024)},
        )
