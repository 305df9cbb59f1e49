"""The bitplane correction function: predictions made consistent with the planes already known.

For plane i, with the planes 8 .. i+1 decoded and a predicted value V_pred:

    (1)  V_corr  = sum over the decoded planes k of b_k 2^(k-1)
    (2)  V_final = V_corr if V_pred < V_corr, else V_pred
    (3)  b_i     = floor(V_final / 2^(i-1)) mod 2

Source: Samarathunga et al., equations (1)-(3). As printed, (2) mends only predictions below the
interval [V_corr, V_corr + 2^i - 1] that the decoded planes allow. The rule `one_sided` is that;
the rule `interval` clips from above as well.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

CorrectionRule: TypeAlias = Literal["one_sided", "interval"]


def correct_value(
    predicted: NDArray[np.int32], known: NDArray[np.uint8], plane: int, rule: CorrectionRule
) -> NDArray[np.int32]:
    """Equation (2). `predicted` is V_pred in whole grey levels, `known` is V_corr (see
    bitplanes.known_value with plane + 1), both of any one shape; so is the result V_final."""
    low = known.astype(np.int32)
    raised = np.maximum(predicted, low)
    if rule == "one_sided":
        return raised
    return np.minimum(raised, low + (1 << plane) - 1)


def predicted_bits(final: NDArray[np.int32], plane: int) -> NDArray[np.uint8]:
    """Equation (3): bit b_i of V_final, uint8 0 or 1."""
    return ((final >> (plane - 1)) & 1).astype(np.uint8)
