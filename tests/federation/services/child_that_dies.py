"""A child of ``examining`` that some texts kill, as a hole in a C library would."""

from __future__ import annotations

import os
import signal
import time

from federation.services import examining
from federation.services.examining import Examined


def work(payload: bytes) -> Examined:
    if b"kills its reader" in payload:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"takes for ever" in payload:
        time.sleep(3_600)
    return examining.examine(payload)


if __name__ == "__main__":
    examining.CHUNK_SECONDS = 1
    examining.main(work)
