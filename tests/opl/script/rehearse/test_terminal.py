"""A rehearsal told in a terminal."""

from __future__ import annotations

from opl.script.rehearse import read_agents, rehearse, told
from opl.script.rehearse.terminal import clipped

SCRIPT = """## A vote
STATE who = ["anna", "boris"]
STATE votes = []
TRACK {voters: who.length}
PARALLEL:
  FOREACH name IN who:
    EVENT completion:async {agent_id: name, prompt: "Do you agree with everything that was said so far?"} AS r
    APPEND votes r.vote
EVENT orchestrator:decision {decision_type: "close", rationale: "all have voted"}
RETURN VOTE(votes)
"""
AGENTS = b"""
agents:
  anna: [{reply: {vote: "yes"}, latency: 2}]
  boris: [{error: {type: refused, message: no opinion}}]
"""


def story(script: str = SCRIPT, **options: bool) -> str:
    agents, _ = read_agents(AGENTS)
    return told(rehearse(script.encode(), file="vote.opl", agents=agents), **options)


class TestTold:
    def test_shows_a_timeline_and_what_came_of_it(self) -> None:
        text = story()

        assert text.index("A vote") < text.index("→ anna") < text.index("← boris") < text.index("← anna")
        assert "refused: no opinion" in text
        assert "succeeded" in text
        assert '"winner": "yes"' in text
        assert "voters" in text
        assert "all have voted" in text
        assert "every answer is scripted" in text

    def test_shows_an_error_with_a_caret(self) -> None:
        lines = story("STATE a = 1\nSTATE b = a / 0\n").splitlines()

        source = next(n for n, line in enumerate(lines) if "STATE b = a / 0" in line)
        assert lines[source + 1].strip(" |").startswith("^")
        assert any("division by zero" in line for line in lines)

    def test_shows_every_problem_of_a_script_that_does_not_compile(self) -> None:
        text = story("STATE 1 = 1\nFOREACH x: WAIT 1\n")

        assert text.count("^") >= 2
        assert "nothing was rehearsed: 2 errors" in text

    def test_names_simulated_agents(self) -> None:
        assert "simulated: carla" in story('EVENT completion:async {agent_id: "carla", prompt: "x"} AS r')

    def test_has_no_escapes_without_color(self) -> None:
        assert "\x1b" not in story()
        assert "\x1b[" in story(color=True)

    def test_keeps_to_the_width(self) -> None:
        assert max(map(len, story(width=80).splitlines()[2:12])) <= 80

    def test_lets_no_text_steer_the_terminal(self) -> None:
        text = story('EVENT my:event {text: "\\u001b[2J\\u0007\\u202e"} AS r\nRETURN "\\u001b]0;x\\u0007"')

        assert not set("\x1b\x07\u202e") & set(text)


class TestClipped:
    def test_cuts_by_columns(self) -> None:
        assert clipped("abcdef", 4) == "abc…"
        assert clipped("日本語文字", 6) == "日本…"
        assert clipped("a\n b", 9) == "a b"
