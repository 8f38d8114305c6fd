"""Pictures are drawn once for each state of a calibration."""

from service.calibrations.pictures import Pictures
from service.store import Store
from tests.api.client import Client
from tests.api.samples import bowl, submit


def test_a_picture_is_drawn_again_only_after_an_event(client: Client, store: Store) -> None:
    identifier = submit(client, runner="external")
    pictures, drawn = Pictures(kept=2), []

    def look(kind: str = "plot") -> str:
        def draw() -> str:
            drawn.append(kind)
            return f"{kind} {len(drawn)}"

        return pictures.of(kind, store.calibrations.get(identifier), draw)

    assert [look(), look()] == ["plot 1", "plot 1"]
    assert look("widths") == "widths 2"
    client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": bowl()})
    assert look() == "plot 3"  # and the oldest is forgotten
    assert look("widths") == "widths 4"
    assert drawn == ["plot", "widths", "plot", "widths"]


def test_the_routes_keep_what_they_drew_and_show_what_is_new(client: Client) -> None:
    identifier = submit(client, runner="external")
    for name in ("plot", "widths"):
        address = f"/v1/calibrations/{identifier}/{name}.svg"
        empty = client.get(address).text
        assert client.get(address).text == empty
    client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": bowl()})
    for name in ("plot", "widths"):
        assert client.get(f"/v1/calibrations/{identifier}/{name}.svg").text != empty
