"""Change the mathematics at random, and see whether the unit tests notice: a sample of mutants, and which survive.

    python -m benchmarks.mutants [--sample 200] [--seed 0] [--package estimate] [--jobs 1] [--out FILE]

The mutations are those of cosmic-ray. A mutant is served to a forked process by an import hook, so no file is changed.
Places in the sources are drawn first and then one operator for each, so that a place with twenty possible mutations
counts once. Before any mutant, every file of tests runs on the unchanged sources and has to pass.
"""

import argparse
import contextlib
import difflib
import importlib.abc
import importlib.machinery
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import spec_from_loader
from itertools import islice
from pathlib import Path
from typing import NoReturn

import cosmic_ray.ast
import cosmic_ray.mutating
import cosmic_ray.plugins

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("theory", "rules", "transfers", "tensors", "estimate")  # of widthwise: what computes an answer
TESTS = ROOT / "tests" / "unit"
SKIPPED = {"test_layers.py", "test_docs.py", "test_packaging.py"}  # they read sources from the disk
SAMPLE = 200
PRELOADED = ("hypothesis.strategies", "numpy", "scipy.optimize", "scipy.stats")
SLOW = "covers or any_search_ends or escaped"  # tests that take seconds each: statistics over many simulated sweeps
CPU_SECONDS = 240  # for one mutant (chosen): without one the tests take a quarter; a busy machine uses none of it up
LIMIT_SECONDS = 1800.0  # for one mutant by the clock (chosen): only one that waits for ever meets it

#: Operators whose mutants fail at once, whatever is tested (`|` between types, shifts of floats), or change nothing by
#: design (decorators that cache). They would flatter the result or spoil it.
_LEFT_OUT = re.compile(
    r"BinaryOperator_Bit|BinaryOperator_\w+_(Bit|RShift|LShift)|_Is$|_IsNot$|Operator_(Is|IsNot)_|Invert|RemoveDecorator"
    r"|Variable|ExceptionReplacer"
)


@dataclass(frozen=True)
class Mutant:
    """A changed source of one module."""

    path: Path
    line: int
    operator: str
    source: str

    @property
    def module(self) -> str:
        return ".".join(self.path.relative_to(ROOT).with_suffix("").parts)

    @property
    def package(self) -> str:
        return self.path.relative_to(ROOT / "widthwise").parts[0]

    def name(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} {self.operator.removeprefix('core/')}"

    def diff(self) -> str:
        """Return the lines that differ."""
        lines = difflib.unified_diff(self.path.read_text(encoding="utf-8").split("\n"), self.source.split("\n"), n=0)
        return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---"))


def mutants(paths: Sequence[Path], sample: int, seed: int) -> list[Mutant]:
    """Draw mutants: the same for the same sources, sample and seed."""
    draw = random.Random(seed)  # noqa: S311
    places = [(path, *place) for path in paths for place in sorted(_places(path).items())]
    drawn: list[Mutant] = []
    for path, (line, _), choices in draw.sample(places, len(places)):
        if len(drawn) == sample:
            break
        first = draw.randrange(len(choices))
        for name, occurrence in choices[first:] + choices[:first]:
            operator = cosmic_ray.plugins.get_operator(name)()
            source = cosmic_ray.mutating.mutate_code(path.read_text(encoding="utf-8"), operator, occurrence)
            if _compiles(source):
                drawn.append(Mutant(path, line, name, source))
                break
    return sorted(drawn, key=lambda mutant: (mutant.path, mutant.line))


def _compiles(source: str) -> bool:
    with contextlib.suppress(SyntaxError):
        compile(source, "", "exec", dont_inherit=True)
        return True
    return False


def _places(path: Path) -> dict[tuple[int, int], list[tuple[str, int]]]:
    """Where a module can be mutated (line, column), and how: operator and which occurrence."""
    text = path.read_text(encoding="utf-8")
    nodes, lines = list(cosmic_ray.ast.ast_nodes(cosmic_ray.ast.get_ast(text))), text.splitlines()
    found: dict[tuple[int, int], list[tuple[str, int]]] = defaultdict(list)
    for name in sorted(cosmic_ray.plugins.operator_names()):
        if _LEFT_OUT.search(name):
            continue
        operator = cosmic_ray.plugins.get_operator(name)()
        positions = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, (line, column) in enumerate(positions):
            before, after = lines[line - 1][:column].rstrip(), lines[line - 1][column:]
            if after[:1] != "*" or before[-1:] not in ("", *"(,[{"):  # a star there is no product but unpacks
                found[line, column].append((name, occurrence))
    return found


class _Served(importlib.abc.MetaPathFinder):
    """Serves one module from a mutant's source instead of its file."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        mutant = self.mutant
        return (
            spec_from_loader(fullname, _Loader(mutant), origin=str(mutant.path)) if fullname == mutant.module else None
        )


class _Loader(importlib.abc.SourceLoader):
    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def get_filename(self, _: str) -> str:
        return str(self.mutant.path)

    def get_data(self, _: str | bytes) -> bytes:
        return self.mutant.source.encode()

    def path_stats(self, path: str) -> NoReturn:  # so no bytecode is read or written
        raise OSError(path)


def _run_tests(files: Sequence[Path], mutant: Mutant | None) -> int:
    """Run files of tests in this process until one fails, and print its name last; return 1 then, else 0."""
    import hypothesis
    import pytest

    if mutant is not None:
        sys.meta_path.insert(0, _Served(mutant))
    # Derandomized, so that a mutant's fate is the same every time; a slow machine kills none.
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutants")
    plugins = ["-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin", "-p", "no:cacheprovider"]
    plugins += ["--timeout", "0"]  # of a test by the clock: on a busy machine it would take slow tests for failed ones
    for file in files:
        status = pytest.main(["-x", "-q", "--tb=line", "--noconftest", *plugins, "-k", f"not ({SLOW})", str(file)])
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            print(f"\n{file}", flush=True)
            return 1
    return 0


@dataclass
class _Running:
    """A forked process that does some work; what it prints goes to a file."""

    child: int
    began: float


def _start(work: Callable[[], int], log: Path) -> _Running:
    child = os.fork()
    if child == 0:
        status = 70
        with contextlib.suppress(BaseException):
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 10))
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            status = work()
        os._exit(status)
    return _Running(child, time.monotonic())


def _each(works: Iterable[Callable[[], int]], folder: Path, jobs: int) -> Iterator[tuple[int, int | None, float]]:
    """Do works in forked processes, some at a time; yield number, status (None: out of time) and seconds of each."""
    waiting, running = enumerate(works), dict[int, _Running]()
    while True:
        for number, work in islice(waiting, jobs - len(running)):
            running[number] = _start(work, folder / str(number))
        if not running:
            return
        time.sleep(0.02)
        for number, process in list(running.items()):
            seconds = time.monotonic() - process.began
            done, status = os.waitpid(process.child, os.WNOHANG)
            if done or seconds > LIMIT_SECONDS:
                if not done:
                    os.killpg(process.child, signal.SIGKILL)
                    os.waitpid(process.child, 0)
                del running[number]
                code = os.waitstatus_to_exitcode(status) if done else None
                yield number, None if code == -signal.SIGXCPU else code, seconds


def _concerned(package: str) -> Iterator[Path]:
    """The files of unit tests that import a package of widthwise, or widthwise itself."""
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if path.name not in SKIPPED and (
            re.search(rf"widthwise\.{package}\b", text)
            or (package != "estimate" and "from widthwise import" in text)
            or (package == "estimate" and path.parent.name == "estimate")
            or path.name == "test_import.py"  # it runs the examples of every docstring
        ):
            yield path


def _order(mutant: Mutant, files: Sequence[Path], seconds: dict[Path, float], killers: dict[Path, Path]) -> list[Path]:
    """Put first what killed another mutant of the module, then tests of the module's name, then the quick ones."""
    stem, killer = mutant.path.stem, killers.get(mutant.path)
    return sorted(files, key=lambda path: (path != killer, stem not in path.stem, seconds[path]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=SAMPLE, help="how many mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which sample (default: %(default)s)")
    parser.add_argument("--package", action="append", choices=PACKAGES, help="of widthwise; all of these by default")
    parser.add_argument("--jobs", type=int, default=1, help="mutants tried at a time (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the summary to a file too")
    options = parser.parse_args()
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    os.chdir(ROOT)
    for module in PRELOADED:  # once here instead of in every fork
        importlib.import_module(module)
    packages = options.package or PACKAGES
    paths = sorted(path for name in packages for path in (ROOT / "widthwise" / name).rglob("*.py"))
    tests = {name: list(_concerned(name)) for name in packages}
    files = sorted({file for found in tests.values() for file in found})
    with tempfile.TemporaryDirectory() as name:
        folder, seconds = Path(name), dict[Path, float]()
        for number, status, took in _each([partial(_run_tests, [file], None) for file in files], folder, options.jobs):
            if status != 0:
                sys.exit(
                    f"{files[number]} fails on the unchanged sources:\n{(folder / str(number)).read_text()[-2000:]}"
                )
            seconds[files[number]] = took
        drawn = mutants(paths, options.sample, options.seed)
        print(f"{len(drawn)} mutants; {len(files)} files of tests take {sum(seconds.values()):.0f} s", flush=True)
        fates, killers = dict[int, int | None](), dict[Path, Path]()
        works = (  # in this order only once the one before has started, so that what killed it is known
            partial(_run_tests, _order(mutant, tests[mutant.package], seconds, killers), mutant) for mutant in drawn
        )
        for number, status, took in _each(works, folder, options.jobs):
            fates[number] = status
            if status == 1:
                killers[drawn[number].path] = Path((folder / str(number)).read_text(encoding="utf-8").splitlines()[-1])
            print(f"{len(fates)}/{len(drawn)} {_word(status)} {took:.0f} s {drawn[number].name()}", flush=True)
    text = summary([(mutant, fates[number]) for number, mutant in enumerate(drawn)], options.seed)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def _word(status: int | None) -> str:
    return "timed out" if status is None else "survived" if status == 0 else "killed"


def summary(results: Sequence[tuple[Mutant, int | None]], seed: int) -> str:
    """Return how many mutants were killed, and every survivor with its change."""
    words = [_word(status) for _, status in results]
    noticed = words.count("killed")
    lines = [
        f"Sample of {len(results)} mutants, seed {seed}: {noticed} noticed by a test that fails "
        f"({100 * noticed / max(len(results), 1):.1f} %), {words.count('timed out')} out of time, "
        f"{words.count('survived')} survived."
    ]
    for (mutant, _), word in zip(results, words, strict=True):
        if word != "killed":
            lines += ["", f"{word}: {mutant.name()}", mutant.diff()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
