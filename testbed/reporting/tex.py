"""LaTeX: text with nothing in it that LaTeX would take for commands, numbers without false digits,
tables and figures.

What comes out needs the package booktabs, and graphicx for figures; nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "\u2013": "--", "\u2014": "---", "\u2212": "$-$", "\u00d7": r"$\times$", "\u00b1": r"$\pm$",
    "\u2264": r"$\leq$", "\u2265": r"$\geq$", "\u00b0": r"$^\circ$", "\u00b5": r"$\mu$",
    "\u03bc": r"$\mu$", "\u2192": r"$\to$", "\u2026": r"\ldots{}", "\u00a0": "~",
    "\u2018": "`", "\u2019": "'", "\u201c": "``", "\u201d": "''",
}  # fmt: skip
_LAST_LATIN = "\u017f"
"""Letters up to this one are known to every LaTeX since 2018."""
_MATHS = re.compile(r"(\$[^$]*\$)")


def escape(text: str) -> str:
    """Plain text as LaTeX that shows it. What LaTeX has no letter for shows its code point."""
    return "".join(_ESCAPES.get(letter) or _letter(letter) for letter in text)


def escape_words(words: str) -> str:
    """The same, but for formulas between dollars, which stay: words of `setting_words`."""
    return "".join(part if _MATHS.fullmatch(part) else escape(part) for part in _MATHS.split(words))


def _letter(letter: str) -> str:
    if letter.isspace():
        return " "
    if letter.isascii() and letter.isprintable():
        return letter
    return letter if letter.isalpha() and letter <= _LAST_LATIN else rf"[U+{ord(letter):04X}]"


def label(*parts: str) -> str:
    """For \\label and \\ref: letters, digits and hyphens."""
    return ":".join(re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in parts)


def decimals(half_width: float, unknown: int, most: int) -> int:
    """How many a value deserves whose interval has this half-width: as many as show two digits of
    it (JCGM 100:2008, 7.2.6).

    unknown: where there is no interval. most: however narrow it is.
    """
    if math.isnan(half_width):
        return unknown
    if half_width <= 0:
        return most
    return min(max(1 - math.floor(math.log10(half_width)), 0), most)


def number(value: float, places: int) -> str:
    """A number with so many decimals, its minus a real one; a dash for what is undefined."""
    if math.isnan(value):
        return "--"
    text = f"{value:.{places}f}"
    # No minus before what is rounded to nothing.
    if float(text) == 0:
        text = text.removeprefix("-")
    return f"${text}$" if text.startswith("-") else text


def with_half_width(values: Sequence[float], unknown: int, most: int) -> str:
    """A value and, below it to the right, half the width of its interval, both to the digits that
    this allows. An interval without a width is not shown.

    values: the value, the interval's low and high end. unknown, most: see `decimals`.
    """
    value, low, high = values
    half = (high - low) / 2
    places = decimals(half, unknown, most)
    text = number(value, places)
    if math.isnan(value) or math.isnan(half) or half <= 0:
        return text
    return rf"${text.strip('$')}_{{\pm{half:.{places}f}}}$"


def ratio(value: float) -> str:
    """A channel bandwidth ratio as the fraction that it is, as far as six digits tell."""
    fraction = Fraction(value).limit_denominator(1000)
    return str(fraction) if abs(float(fraction) - value) < 1e-6 else f"{value:.3g}"


def bold(cell: str) -> str:
    """A cell in bold, formulas included."""
    if cell.startswith("$"):
        return rf"$\mathbf{{{cell.strip('$')}}}$"
    return rf"\textbf{{{cell}}}"


@dataclass(frozen=True)
class Panel:
    """Rows of a table below a line of their own; cells are LaTeX. title: "" for none."""

    title: str
    rows: Sequence[Sequence[str]]


def table(
    caption: str,
    name: str,
    columns: str,
    head: Sequence[str],
    panels: Sequence[Panel],
    size: str = "footnotesize",
) -> str:
    """A float of both columns' width with one booktabs tabular.

    caption, cells: LaTeX. name: the label. columns: such as "lrr", a letter for each cell. size: of
    the letters. Raises ValueError where a row has another number of cells.
    """
    lines = [
        r"\begin{table*}[tb]", r"\centering", rf"\{size}", r"\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{caption}}}", rf"\label{{{name}}}",
        # Centred over the text also where it is wider.
        rf"\makebox[\textwidth][c]{{\begin{{tabular}}{{{columns}}}",
        r"\toprule", _row(head, columns),
    ]  # fmt: skip
    for panel in panels:
        lines.append(r"\midrule")
        if panel.title:
            # Without a width of its own, which would widen the last column.
            words = rf"\makebox[0pt][l]{{\emph{{{panel.title}}}}}"
            lines.append(rf"\multicolumn{{{len(columns)}}}{{l}}{{{words}}} \\")
        lines += [_row(row, columns) for row in panel.rows]
    lines += [r"\bottomrule", r"\end{tabular}}", r"\end{table*}"]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str], columns: str) -> str:
    if len(cells) != len(columns):
        raise ValueError(f"expected {len(columns)} cells, found {len(cells)}: {cells}")
    return " & ".join(cells) + r" \\"


def figure(path: str, caption: str, name: str, *, wide: bool) -> str:
    """A float with one graphic, over one column or both. caption: LaTeX."""
    kind, width = ("figure*", r"\textwidth") if wide else ("figure", r"\columnwidth")
    return (
        f"\\begin{{{kind}}}[tb]\n\\centering\n"
        f"\\includegraphics[width={width}]{{{path}}}\n"
        f"\\caption{{{caption}}}\n\\label{{{name}}}\n\\end{{{kind}}}\n"
    )
