"""What is known of the published data sets without looking at them. Imports nothing heavy.

CIFAR-10: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009. The MD5s of
the archives are those of its page, those of the batches of the Python layout are what torchvision
checks; the SHA-256s are of the same archives. Kodak: the PNG files of R. Franzen's page.
"""

from __future__ import annotations

from dataclasses import dataclass

DATA_VARIABLE = "TESTBED_DATA"
"""The environment variable that names the folder of data sets."""

CIFAR10_TEST, CIFAR10_TRAIN = "cifar10_test", "cifar10_train"
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
"""By label, 0 .. 9."""
CIFAR10_PICTURES_PER_FILE = 10_000

CLASSES_OF = {CIFAR10_TEST: CIFAR10_CLASSES, CIFAR10_TRAIN: CIFAR10_CLASSES}
"""The classes of each source that has labels."""


@dataclass(frozen=True)
class Layout:
    """One of the forms in which a data set is published, as an archive of files in a folder."""

    name: str
    folder: str
    url: str
    sha256: str
    """Of the archive."""
    md5: dict[str, dict[str, str]]
    """By source: the MD5 of each of its files, in the order of the pictures."""

    @property
    def files(self) -> dict[str, str]:
        """The MD5 of each file of the data set."""
        return {name: md5 for files in self.md5.values() for name, md5 in files.items()}


CIFAR10_LAYOUTS = {
    "binary": Layout(
        "binary",
        "cifar-10-batches-bin",
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        {
            CIFAR10_TRAIN: {
                "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
                "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
                "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
                "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
                "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
            },
            CIFAR10_TEST: {"test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d"},
        },
    ),
    "python": Layout(
        "python",
        "cifar-10-batches-py",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        {
            CIFAR10_TRAIN: {
                "data_batch_1": "c99cafc152244af753f735de768cd75f",
                "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                "data_batch_4": "634d18415352ddfa80567beed471001a",
                "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            },
            CIFAR10_TEST: {"test_batch": "40351d587109b95175f43aff81a1287e"},
        },
    ),
}
"""In the order in which they are looked for."""

KODAK = "kodak"
KODAK_PICTURES = 24
KODAK_URL = "https://r0k.us/graphics/kodak/kodak/"
"""What the name of a file is put after."""
