"""A network of the zoo as the file that the naive runtime reads: `tessera.plan.naive_file`.

Example: `python models/dnn/baseline/export.py lenet_digits -o out/lenet.baseline`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tessera.dnn.files import write_bytes
from tessera.errors import TesseraError
from tessera.plan import zoo
from tessera.plan.naive_file import RULES, dump
from tessera.plan.prepare import prepared

__all__ = ["RULES", "dump", "main"]


def main(words: Sequence[str] | None = None) -> int:
    """Writes one network of the zoo."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("name", help="of the zoo")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args(words)
    try:
        write_bytes(given.output, dump(prepared(zoo.build(given.name))))
    except TesseraError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
