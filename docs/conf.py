"""The documentation site: Sphinx over the Markdown of this folder, readable without a network.

    scripts/docs     builds it into build/docs

Two pages are made at build time of what they describe, where a comment `<!-- generated: NAME -->`
stands: generated_pages.py. Equations become MathML, which browsers show by themselves.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

import generated_pages
from docutils import nodes

project = "semcom-testbed"
author = "The semcom-testbed authors"
copyright = author
version = release = installed_version(project)

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
default_role = "literal"
exclude_patterns = ["plugins"]
nitpicky = True
nitpick_ignore_regex = [
    # Types of other projects, whose sites are not at hand, and type variables.
    (r"py:.*", r"(numpy|typing|collections|pd|matplotlib)\..*|Figure"),
    (r"py:.*", r".*\.Any[A-Z]\w+"),
    (r"py:.*", r"NDArray|bool|u?int\d+|float64|complex128"),
    # Words of docstrings that stand where napoleon expects a type.
    (r"py:.*", r"n|packet numbers"),
]

myst_enable_extensions = ["dollarmath", "attrs_block"]
myst_heading_anchors = 4

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
add_module_names = False
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

_ARRAY = re.compile(
    r"~?numpy\.ndarray\[tuple\[~?typing\.Any, \.\.\.\], ~?numpy\.dtype\[~?numpy\.(\w+)\]\]"
)

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers what is generated, and the way of equations."""
    app.connect("source-read", generated_pages.fill)
    app.connect("autodoc-process-docstring", _keep_colons, priority=400)
    app.connect("autodoc-process-signature", _shorten_arrays)
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _keep_colons(_app: Sphinx, what: str, *rest: object) -> None:
    """Keeps napoleon from taking what stands before a colon for the type of an attribute."""
    lines = rest[-1]
    if what in ("attribute", "property", "data") and isinstance(lines, list):
        lines[:0] = ["..", ""]


def _shorten_arrays(*event: object) -> tuple[str | None, ...]:
    """Arrays in signatures as the sources say them: NDArray[uint8]."""
    return tuple(
        _ARRAY.sub(r"NDArray[\1]", words) if isinstance(words, str) else None
        for words in event[-2:]
    )


def _inline_math(translator: nodes.NodeVisitor, node: nodes.math) -> None:
    translator.body.append(tex2mathml(node.astext()))  # type: ignore[attr-defined]
    raise nodes.SkipNode


def _block_math(translator: nodes.NodeVisitor, node: nodes.math_block) -> None:
    equation = tex2mathml(node.astext(), as_block=True)
    translator.body.append(f'<div class="equation">{equation}</div>')  # type: ignore[attr-defined]
    raise nodes.SkipNode
