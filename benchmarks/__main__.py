"""
Run the benchmarks and print their table.

    python -m benchmarks                  # all of them
    python -m benchmarks language durable
    python -m benchmarks --keep           # store the results beside the earlier ones
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

import benchmarks
from benchmarks import harness

NOT_BENCHMARKS = {
    "__main__",
    "harness",
    "durable_node",
    "federation_node",
    "registry_node",
    "lane_node",
    "kills",
    "kills_node",
    "kills_settings",
    "backends",
    "peers",
    "shadow_settings",
}


def names() -> list[str]:
    """Every benchmark of this package, by module name."""
    return sorted({module.name for module in pkgutil.iter_modules(benchmarks.__path__)} - NOT_BENCHMARKS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(names())}")
    parser.add_argument("--keep", action="store_true", help="store the results")
    options = parser.parse_args()
    unknown = set(options.names) - set(names())
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    rows: list[harness.Row] = []
    for name in options.names or names():
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows += importlib.import_module(f"benchmarks.{name}").measure()
    before = harness.last_kept()
    print(harness.table(rows))
    for sentence in harness.compare(rows, before):
        print(f"slower than last kept: {sentence}", file=sys.stderr)
    if options.keep:
        print(f"kept in {harness.keep(rows)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
