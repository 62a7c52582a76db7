"""A child of ``proving`` that does not do what it should: the first argument says how."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from federation.services import children


def work(parts: Sequence[bytes]) -> list[bytes]:
    how = sys.argv[1]
    if not parts:  # the greeting: it is up
        return [b""]
    if how == "dies":
        os._exit(1)
    if how == "hangs":
        time.sleep(3_600)
    if how == "miscounts":
        return [b"\1" * (len(parts) - 1)]
    if how == "babbles":
        return [b"\2" * len(parts)]
    return [b"", b""]  # too many answers


if __name__ == "__main__":
    children.serve(work)
