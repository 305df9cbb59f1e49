"""Compiled kernels follow the sources, also those that they call from another file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import channels.kernels
import codec.jit

CALLEE = "from {package}.{module} import kernel\n@kernel\ndef value():\n    return {number}\n"
CALLER = (
    "from {package}.callee import value\nfrom {package}.{module} import kernel\n"
    "@kernel\ndef doubled():\n    return 2 * value()\n"
)


@pytest.mark.parametrize("source", [codec.jit, channels.kernels])
def test_an_edited_callee_is_compiled_anew(source, tmp_path: Path) -> None:
    """A small package of its own around the decorator, run twice with an edit in between."""
    module = Path(source.__file__).stem
    package = tmp_path / "small"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / f"{module}.py").write_text(Path(source.__file__).read_text())
    (package / "caller.py").write_text(CALLER.format(package="small", module=module))
    for number in (4, 5):
        callee = CALLEE.format(package="small", module=module, number=number)
        (package / "callee.py").write_text(callee)
        for _ in range(2):
            run = subprocess.run(
                [sys.executable, "-c", "from small.caller import doubled; print(doubled())"],
                cwd=tmp_path, capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert run.stdout.strip() == str(2 * number)
    # The second run of each state found the first one's machine code.
    folders = list((package / "__pycache__").glob("numba-*"))
    assert len(folders) == 2
    assert all(list(folder.rglob("*.nbc")) for folder in folders)
