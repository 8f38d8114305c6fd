"""A reader of the page: fields by their labels, numbers by role and quantity."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

COLUMNS = ("Learning rate", "Epsilon", "Init std", "Multiplier", "Weight decay")


class Reader:
    """The page as it is read and filled in."""

    def __init__(self, page: Page, address: str) -> None:
        """address: of the service."""
        self.page = page
        self.address = address

    def open(self, state: str = "") -> None:
        """Open the page, and wait for its first plan or problem. state: what stands after the address's #."""
        self.page.goto("about:blank")  # the same address with another state would not load the page again
        self.page.goto(f"{self.address}/#{state}")
        expect(self.page.locator("#layers tbody tr, #transfer-error:not([hidden])").first).to_be_visible()

    def visit(self, path: str) -> None:
        """Open another page of the service."""
        self.page.goto(f"{self.address}{path}")

    def field(self, label: str) -> Locator:
        """The field of a label."""
        return self.page.get_by_label(label, exact=True)

    def rows(self) -> Locator:
        """The rows of the plan."""
        return self.page.locator("#layers tbody tr")

    def number(self, role: str, column: str = "Learning rate", side: str = "first") -> Locator:
        """The button with the number of a role."""
        row = self.page.locator(f"#layers tbody tr.{side}.{role}").first
        return row.locator("td").nth(COLUMNS.index(column)).locator("button")

    def shows(self, role: str, text: str, column: str = "Learning rate", side: str = "first") -> None:
        """Wait until a number is shown."""
        expect(self.number(role, column, side)).to_contain_text(text)

    def focused(self) -> Any:
        """What the focus is on: its id, name or text."""
        return self.page.evaluate(
            "(({id, name, dataset, textContent}) => dataset.open || name || id || textContent)(document.activeElement)"
        )
