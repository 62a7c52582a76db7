"""One JSON object a line, with the run and effect it speaks of."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from execution import telemetry

_SUBJECTS = ("run_id", "effect_id", "trial_id", "peer", "request_id")


class JsonFormatter(logging.Formatter):
    """``{at, level, logger, message, run_id?, effect_id?, …, exception?}``."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(telemetry.subject.get() or {})
        line.update({name: str(getattr(record, name)) for name in _SUBJECTS if hasattr(record, name)})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
