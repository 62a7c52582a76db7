"""Whatever a stranger writes: an outcome or problems, never a traceback."""

from __future__ import annotations

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from opl.script.rehearse import rehearse, told

LINES = [
    'STATE rows = [{id: "a", score: 0.5}, {id: "b", score: null}]',
    "STATE n = 0",
    "UPDATE n = n + 1",
    "UPDATE rows[0].score = n / 0",
    "APPEND rows {id: n, list: rows}",
    "IF n > 1:",
    "ELSE:",
    "WHILE n < 3:",
    "FOREACH row IN rows:",
    "FOREACH k, v IN {a: 1}:",
    "PARALLEL(limit: n):",
    "BRANCH one:",
    'EVENT completion:async {agent_id: "a", prompt: "{{rows}} {{n|upper}} {{"} AS r',
    'EVENT completion:async {agent_id: "b", prompt: r}',
    "EVENT state:entity:update {id: n, properties: rows} AS e",
    "AWAIT x FROM ANY(rows) TIMEOUT n:",
    "TIMEOUT:",
    "TRY:",
    "CATCH problem:",
    "WAIT n",
    "BREAK",
    "CONTINUE",
    "TRACK {n: n, best: MAX(rows, row.score)}",
    "RETURN SORT(rows, x => x.score)",
    "results = parallel_map(rows, evaluate)",
    "r.evaluate(n)",
    "rows.push(rows.shift())",
    "STATE s = GROUP_BY(rows, id, SUM(score))",
    "}",
    "# words",
    "WHEN something happens do something",
]


@st.composite
def scripts(draw: st.DrawFn) -> str:
    chosen = draw(st.lists(st.tuples(st.sampled_from(LINES), st.integers(0, 3)), max_size=14))
    return "\n".join("  " * depth + line for line, depth in chosen)


def play(source: bytes, **options: bool) -> None:
    outcome = rehearse(source, file="any.opl", **options)

    assert outcome.exit_status in (0, 1, 2)
    assert (outcome.exit_status == 2) == ("diagnostics" in outcome.to_json())
    json.dumps(outcome.to_json(), allow_nan=False)
    assert told(outcome).endswith("\n")


class TestAnything:
    @settings(max_examples=150, deadline=None)
    @given(scripts(), st.booleans())
    def test_scripts_have_an_outcome(self, script: str, lenient: bool) -> None:
        play(script.encode(), lenient=lenient)

    @given(st.binary(max_size=300))
    def test_bytes_have_an_outcome(self, data: bytes) -> None:
        play(data)

    @settings(deadline=None)
    @given(st.integers())
    def test_cut_and_mixed_text_has_an_outcome(self, seed: int) -> None:
        text = list("\n".join(LINES))
        chance = random.Random(seed)
        for _ in range(chance.randint(1, 20)):
            place = chance.randrange(len(text))
            text[place] = chance.choice(['"', "{", "}", "\n", " ", ":", "\t", "\x00", "é", "{{", "9" * 400])

        play("".join(text).encode(), lenient=True)
