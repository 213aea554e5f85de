"""``python -m export.verify BUNDLE``: check a bundle's hashes and replay its golden inputs.

First every file's hash is checked, then the golden inputs are run through every file whose runtime
is installed. The dataset is not required, and TensorFlow only for the SavedModel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from export.bundle.replay import replay
from zoo import cli
from zoo.bundles import integrity
from zoo.util import backend


def main(argv: Sequence[str]) -> None:
    """Verify one bundle."""
    parser = cli.Parser(
        "export.verify",
        "Check the hashes of a bundle and replay its golden inputs.",
        example="exports/ltfn5/1",
    )
    parser.add_argument(
        "bundle", metavar="BUNDLE", help="a version's folder, such as exports/ltfn5/1"
    )
    arguments = parser.parse_args(argv)
    bundle = integrity.open_bundle(arguments.bundle)
    with contextlib.suppress(ImportError):
        backend.start_tensorflow()
    print("\n".join(replay(bundle)))


if __name__ == "__main__":
    cli.run("export.verify", main)
