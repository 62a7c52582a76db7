"""A script as a tree of steps, and as coloured words."""

from __future__ import annotations

from opl.script import compile_script, outline, tokens

SCRIPT = """\
## A title
STATE participants = ["a", "b"]
STATE n = 0
WHILE n < 3:
  PARALLEL(limit: 2):
    FOREACH who IN participants:
      EVENT completion:async {agent_id: who, prompt: "Round {{n}}"} AS r
    BRANCH clock:
      WAIT 5
  IF n == 2:
    EVENT agent:status {status: "halfway"}
  ELSE:
    TRY:
      AWAIT reply FROM x TIMEOUT 3:
        TRACK {n: n}
      TIMEOUT:
        BREAK
    CATCH e:
      RETURN e
"""


def kinds(steps: list[dict[str, object]]) -> list[object]:
    """Kinds as nested lists."""
    return [[step["kind"], kinds(step["children"])] if step["children"] else step["kind"] for step in steps]  # type: ignore[arg-type]


class TestOutline:
    def test_gathers_what_computes_and_nests_what_waits(self) -> None:
        """One step per loop, choice, event and wait."""
        assert kinds(outline(SCRIPT)) == [
            "compute",
            [
                "loop",
                [
                    ["parallel", [["branch", ["ask"]], ["branch", ["wait"]]]],
                    [
                        "choice",
                        [
                            ["branch", ["event"]],
                            [
                                "branch",
                                [
                                    [
                                        "try",
                                        [
                                            [
                                                "branch",
                                                [["await", [["branch", ["track"]], ["branch", ["compute"]]]]],
                                            ],
                                            ["branch", ["end"]],
                                        ],
                                    ]
                                ],
                            ],
                        ],
                    ],
                ],
            ],
        ]

    def test_labels_say_what_happens_and_lines_where(self) -> None:
        """Labels are for people."""
        loop = outline(SCRIPT)[1]

        assert (loop["label"], loop["line"]) == ("while n < 3", 4)
        assert loop["children"][0]["children"][0]["children"][0]["label"] == "ask who: Round ‹n›"
        assert loop["children"][0]["children"][1]["label"] == "clock"

    def test_of_a_compilation_is_that_of_its_text(self) -> None:
        """Both arguments give the same tree."""
        assert outline(compile_script(SCRIPT)) == outline(SCRIPT)

    def test_of_a_damaged_text_tells_the_rest(self) -> None:
        """What can be read is shown."""
        assert [step["kind"] for step in outline("EVENT a:b {}\nSTATE x = = 1\nWAIT 1")] == ["event", "wait"]


class TestTokens:
    def test_have_places_and_classes(self) -> None:
        """(line, column, length, class)."""
        assert tokens('IF LENGTH(x) > 1:\n  RETURN "s"  # why') == [
            (1, 1, 2, "keyword"),
            (1, 4, 6, "function"),
            (1, 10, 1, "operator"),
            (1, 11, 1, "name"),
            (1, 12, 1, "operator"),
            (1, 14, 1, "operator"),
            (1, 16, 1, "number"),
            (1, 17, 1, "operator"),
            (2, 3, 6, "keyword"),
            (2, 10, 3, "string"),
        ]
