"""Documents of our own that the tests of this package share."""

from __future__ import annotations

import pytest

from opl.document import Document, read

TOURNAMENT = """\
# A pattern of our own for the tests.
type: orchestration_pattern
name: ladder_tournament
version: 1.2.0
author: ada
tags: [tournament, ladder]
learned_from:
  - runs: 20
    success_rate: 0.85
parameters:
  type: object
  properties:
    players: {type: array, description: who plays}
    rounds: {type: integer, default: 3}
  required: [players]
pattern:
  description: |
    Plays a ladder until the order is stable.
  discovery_insights:
    - Close scores call for harder tests
  adaptive_rules:
    - condition: "variance(scores) < 0.1"
      action: harder
      rationale: the tests do not tell the players apart
    - condition: "timeouts > 2"
      action: simpler
  orchestration_flow:
    init:
      spawn_strategy: |
        parallel_matches = min(4, rounds)
actions:
  harder: {set: {difficulty: "difficulty + 1"}}
dsl: |
  ## Ladder: One Rung At A Time
  STATE scores = []
  FOREACH player IN players:
    EVENT completion:async {agent_id: player, prompt: "play"} AS reply
    APPEND scores reply.score
  RETURN scores
"""

COMPONENT = """\
---
component_type: behavior
name: team_patterns
version: 2.0.0
dependencies: [core/base]
---

# Team patterns

### 1. Relay

```
## Relay: Pass It On
STATE baton = 1
RETURN baton
```

Not a script:

```json
{"a": 1}
```

### 2. Chorus

```opl
STATE voices = ["a", "b"]
RETURN voices
```
"""


def document_of(text: str, file: str = "") -> Document:
    """The document of a text that can be read."""
    document, problems = read(text.encode(), file=file)
    assert document is not None, problems
    return document


@pytest.fixture
def tournament() -> str:
    """An OPL document with every section."""
    return TOURNAMENT


@pytest.fixture
def component() -> str:
    """A Markdown component with two scripts and one fence that is none."""
    return COMPONENT


@pytest.fixture
def document():
    """A function from text to document."""
    return document_of
