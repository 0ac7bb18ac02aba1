"""Tables that read well both as plain text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table padded to even columns: the first left, the others right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    rule = [f":{'-' * max(2, widths[0] - 1)}", *(f"{'-' * max(2, w - 1)}:" for w in widths[1:])]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(max(3, widths[0]))]
        padded += [c.rjust(max(3, w)) for c, w in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    return "\n".join(line(row) for row in (head, rule, *rows))
