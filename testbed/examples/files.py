"""Names of the files in a run's folder of examples, and their columns."""

from __future__ import annotations

from testbed.evaluation.trials_table import SETTING_COLUMNS

EXAMPLES = "examples"
"""The folder's name."""
ORIGINAL_PNG = "original.png"
"""The picture that `pictures.csv` shows, as it was sent."""

PICTURES_CSV = "pictures.csv"
PICTURE_COLUMNS = (
    "file", "codec", "image", "repetition", "trial_id", *SETTING_COLUMNS,
    "psnr_db", "ssim", "failed", "layers_decoded",
)  # fmt: skip
"""A row for each picture that is shown as received. Equal pictures of a codec share a file."""

LAYERS_CSV = "layers.csv"
LAYER_COLUMNS = (
    "codec", "image", "size", "layers", "layer", "budget_bytes", "payload_bytes", "bpp",
    "psnr_db", "ssim",
)  # fmt: skip
"""Without a channel. Of a layered codec a row after each whole layer: how many there are, the last
one's name, all their bytes. Of any other a row for each budget in bytes, which `budget_bytes`
names; of a layered codec that is empty."""

PLANES_CSV = "planes.csv"
PLANE_COLUMNS = (
    "codec", "image", "left", "top", "width", "height", "plane", "stage", "file",
    "wrong_bits", "bits", "share",
)  # fmt: skip
"""A row for each plane, 8 (most significant) to 1, and stage. `left` to `height`: the part of the
picture that is shown, coded as a picture of its own. A file has 1 bit per pixel, the channels red,
green, blue beside each other."""

STAGES = ("true", "initial", "bcf", "en")
"""The plane itself; as the base layer's picture has it; after the bitplane correction function; as
the enhancement network predicts it, corrected: what the codec goes by."""
TABLES = (PICTURES_CSV, LAYERS_CSV, PLANES_CSV)
