"""Text and numbers as LaTeX shows them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.reporting.tex import (
    Panel,
    bold,
    decimals,
    escape,
    escape_words,
    label,
    number,
    table,
    with_half_width,
)


def test_nothing_is_left_that_latex_takes_for_a_command() -> None:
    assert escape("a_b & 5 % of #1 {x} ~ ^ \\ $") == (
        r"a\_b \& 5 \% of \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \$"
    )
    assert escape("32×32 – ü ≥ 雪") == r"32$\times$32 -- ü $\geq$ [U+96EA]"


@given(st.text())
def test_any_text_is_escaped(text: str) -> None:
    shown = escape(text)
    for command in (
        r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"\textless{}",
        r"\textgreater{}", r"\textbar{}", r"\ldots{}", r"\&", r"\%", r"\$", r"\#", r"\_", r"\{",
        r"\}", r"$\times$", r"$\pm$", r"$\leq$", r"$\geq$", r"$^\circ$", r"$\mu$", r"$\to$", "$-$",
    ):  # fmt: skip
        shown = shown.replace(command, "")
    # A non-breaking space is a tilde.
    assert not set(shown.replace("~", "")) & set("\\&%$#_{}^\n")


def test_formulas_of_settings_stay() -> None:
    assert escape_words("AWGN, $E_s/N_0$ 12 dB, loss 3 %") == r"AWGN, $E_s/N_0$ 12 dB, loss 3 \%"


@pytest.mark.parametrize(
    ("half_width", "places"),
    [(12.0, 0), (1.05, 1), (0.94, 2), (0.34, 2), (0.02, 2), (0.0, 2), (math.nan, 1)],
)
def test_digits_are_those_that_the_interval_allows(half_width: float, places: int) -> None:
    assert decimals(half_width, unknown=1, most=2) == places


def test_numbers() -> None:
    assert number(-0.04, 1) == "0.0"
    assert number(-1.25, 1) == "$-1.2$"
    assert number(math.nan, 2) == "--"
    assert with_half_width([26.5678, 25.4, 27.8], 1, 2) == r"$26.6_{\pm1.2}$"
    assert with_half_width([-0.5, -0.8, -0.2], 1, 2) == r"$-0.50_{\pm0.30}$"
    assert with_half_width([26.5678, math.nan, math.nan], 1, 2) == "26.6"
    assert with_half_width([26.5678, 26.5678, 26.5678], 1, 2) == "26.57"
    assert bold("$1_{\\pm2}$") == r"$\mathbf{1_{\pm2}}$"
    assert bold("12") == r"\textbf{12}"


def test_labels() -> None:
    assert label("tab", "my_run (2)", "results-1") == "tab:my-run-2:results-1"


def test_rows_have_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="expected 2 cells, found 1"):
        table("c", "l", "lr", ["a", "b"], [Panel("", [["x"]])])
