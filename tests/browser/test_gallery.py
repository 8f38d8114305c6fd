"""The gallery of every page in every width and scheme is what `make pictures` draws."""

from service.dashboard.views import VIEWS as SERVED
from tests.browser.pictures import FOLDER, GALLERY, VIEWS, WHOLE, gallery


def test_it_has_every_picture_and_no_other() -> None:
    assert GALLERY.read_text(encoding="utf-8") == gallery(), "draw it again: make pictures"
    drawn = {each.file for pictures in WHOLE.values() for each in pictures}
    assert drawn == {f"every/{path.name}" for path in (FOLDER / "every").iterdir()}


def test_it_has_every_view_of_the_service() -> None:
    assert set(SERVED) <= set(VIEWS)
