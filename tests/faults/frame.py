"""What the fault programs share: cases by seed, a verdict for each, the count at the end."""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Verdict:
    """How one case went.

    Attributes
    ----------
    case
        What was done, in a few words.
    fault
        What was wrong; empty when the case passed.
    outcome
        One word for the statistics, such as ``"refused"``.
    """

    case: str
    fault: str = ""
    outcome: str = "passed"


Check = Callable[[int, Path], Verdict]


def verdicts(check: Check, seeds: Sequence[int]) -> Iterator[tuple[int, Verdict]]:
    """Run one case per seed, each in an empty folder of its own."""
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="faults-") as folder, warnings.catch_warnings():
            # As in use, where a warning of a library is not an error.
            warnings.simplefilter("ignore")
            yield seed, _judge(check, seed, Path(folder))


def bad_cases(check: Check, seeds: Sequence[int]) -> list[str]:
    """Return a line for each case that did not pass, with what is needed to repeat it."""
    return [_line(seed, verdict) for seed, verdict in verdicts(check, seeds) if verdict.fault]


def main(name: str, check: Check, full: int, arguments: Sequence[str] | None = None) -> int:
    """Run a program from the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.faults.{name.lower()}")
    parser.add_argument("--count", type=int, default=full, help="number of cases")
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument("--verbose", action="store_true", help="tell every case")
    options = parser.parse_args(arguments)
    bad, outcomes = 0, Counter[str]()
    for seed, verdict in verdicts(check, range(options.seed, options.seed + options.count)):
        bad += bool(verdict.fault)
        outcomes[verdict.outcome] += 1
        if verdict.fault or options.verbose:
            say(f"{name} {_line(seed, verdict)}")
    say(", ".join(f"{word} {count}" for word, count in sorted(outcomes.items())))
    say(f"{name}: {bad}/{options.count}")
    return int(bad > 0)


def say(line: str) -> None:
    """Write a line at once, whatever characters a path in it holds."""
    sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.flush()


def _judge(check: Check, seed: int, folder: Path) -> Verdict:
    try:
        return check(seed, folder)
    # Whatever escapes is the finding; the other cases go on.
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return Verdict("escaped", f"{type(error).__name__} at {place}: {error}", "escaped")


def _line(seed: int, verdict: Verdict) -> str:
    return f"seed {seed}: {verdict.case}: {verdict.fault or verdict.outcome}"
