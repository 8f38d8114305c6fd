"""The Python reference: which names it has, in which order; mkdocstrings fills it from their docstrings."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Modules by heading. Of a package, what its `__all__` lists; of a module, its public classes and functions.
PARTS = {
    "Transfers": ["widthwise.transfers.transfer", "widthwise.model", "widthwise.tensors.placement"],
    "Plans": ["widthwise.transfers.plan", "widthwise.groups", "widthwise.folding", "widthwise.caution"],
    "PyTorch": ["widthwise.torch"],
    "JAX and optax": ["widthwise.jax", "widthwise.optax"],
    "Exports": ["widthwise.exports.exporting"],
    "Theory": [
        "widthwise.vocabulary",
        "widthwise.theory.parameterization",
        "widthwise.theory.stability",
        "widthwise.theory.alignment",
    ],
    "Conversions": ["widthwise.conversion"],
    "Sweeps": ["widthwise.sweeps", "widthwise.laws"],
    "Client": ["widthwise.client", "widthwise.errors"],
}


def page() -> str:
    """Return the page in Markdown."""
    lines = [
        "# Python",
        "",
        "What a training script imports, from the docstrings of this version. Names of transfers, plans and theory are",
        "imported from `widthwise` itself; the rest from the module that stands before them.",
        "",
    ]
    for title, modules in PARTS.items():
        lines += [f"## {title}", ""]
        for module in modules:
            for shown, real in public(module):
                lines += [f"::: {real}", "    options:", f"      heading: {shown}", ""]
    return "\n".join(lines)


def public(module: str) -> Iterator[tuple[str, str]]:
    """Yield the public classes and functions of a module: the name to import it by, and where it is defined."""
    path = ROOT / module.replace(".", "/")
    if not path.is_dir():
        tree = ast.parse(path.with_suffix(".py").read_text(encoding="utf-8"))
        shown = _exported("widthwise")
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                yield f"{'widthwise' if node.name in shown else module}.{node.name}", f"{module}.{node.name}"
        return
    for name, origin in sorted(_exported(module).items(), key=lambda item: item[0].lower()):
        if not name.isupper():
            yield f"{module}.{name}", f"{origin}.{name}"


def _exported(package: str) -> dict[str, str]:
    """Return by name, for what a package's `__all__` lists, the module that it is imported from."""
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)  # those that are imported later stand under `if TYPE_CHECKING`
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    listed = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"
    )
    return {name: imported[name] for name in listed if name in imported}
