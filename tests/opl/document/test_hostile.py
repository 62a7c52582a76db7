"""Documents made to hurt: each is refused quickly, in a child process that has little memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from opl.check import check
from opl.scan import scan

ROOT = Path(__file__).resolve().parents[3]
MEMORY = 400 * 1024 * 1024  # bytes of address space, the interpreter and its libraries included

CHILD = """
import resource, sys, time
from opl.check import check
from opl.document.load import load
check(b"type: orchestration_pattern\\nname: warm\\ndsl: |\\n  RETURN 1\\n")
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
data = sys.stdin.buffer.read()
start = time.process_time()  # not the wall's clock: other processes share the machine
loaded = load(data)
middle = time.process_time()
report = check(data, file=sys.argv[1])
print(max(middle - start, time.process_time() - middle))
print(report.ok)
for problem in (*loaded.problems, *report.problems):
    print(problem.code)
"""


def bomb(levels: int = 9, width: int = 9) -> bytes:
    """An alias bomb: each level holds the one before several times."""
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


HOSTILE = {
    "alias-bomb": (bomb(), "opl.document.nodes"),
    "merge-bomb": (
        b"a: &a {k: v}\n" + b"".join(b"b%d: &b%d\n  <<: [%s]\n" % (n, n, b"*a, " * 40) for n in range(1200)),
        "opl.document.nodes",
    ),
    "brackets": (b"[" * 25_000, "opl.document.depth"),
    "braces": (b"{" * 25_000, "opl.document.depth"),
    "mixed-brackets": (b"[{" * 12_500, "opl.document.depth"),
    "brackets-by-line": (b"[\n" * 25_000, "opl.document.depth"),
    "dashes": (b"- " * 25_000, "opl.document.depth"),
    "questions": (b"? " * 25_000, "opl.document.depth"),
    "indentation": (b"".join(b" " * n + b"a:\n" for n in range(600)), "opl.document.depth"),
    "ten-megabytes": (b"a: b\n" * 2_000_000, "opl.document.too-large"),
    "wide": (b"[" + b"1," * 120_000 + b"]", "opl.document.nodes"),
    "duplicate-keys": (b"type: orchestration_pattern\n" + b"name: x\n" * 20_000, "opl.document.duplicate-key"),
    "bad-utf8": (b"a: \xff\xfe\n", "opl.document.encoding"),
    "utf16": (("type: x\n" * 100).encode("utf-16"), "opl.document.encoding"),
    "nul": (b"a: \x00\n", "opl.document.control-character"),
    "tags": (b"[" + b"!a 1," * 40_000 + b"]", "opl.document.tag"),
    "unclosed-quote": (b'a: "' + b"x" * 250_000, "opl.document.syntax"),
    "self-alias": (b"a: &a\n  b: *a\n", "opl.document.alias"),
    "long-digits": (b"type: orchestration_pattern\nname: nn\nx: " + b"9" * 200_000, ""),
}


CASES = [*((name, ".yaml") for name in HOSTILE), ("brackets", ""), ("alias-bomb", ""), ("wide", "")]


@pytest.mark.parametrize(("name", "suffix"), CASES)
def test_is_refused_within_a_second(name: str, suffix: str) -> None:
    data, code = HOSTILE[name]

    child = subprocess.run(
        [sys.executable, "-c", CHILD.format(memory=MEMORY), f"hostile{suffix}"],
        input=data,
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )

    assert child.returncode == 0, child.stderr.decode()[-2000:]
    seconds, ok, *codes = child.stdout.decode().split("\n")
    assert float(seconds) < 1
    assert ok == str(not code)
    assert not code or code in codes


HEAD = "type: orchestration_pattern\nname: ab\n"
BLANKS = " " * 200_000
LABORIOUS = {
    "unknown-keys": (HEAD + "".join(f"descriptiom{n}: 1\n" for n in range(12_000)), ".yaml"),
    "agents": (HEAD + "agents:\n" + "".join(f"  a{n}: {{}}\n" for n in range(16_000)), ".yaml"),
    "claims": (HEAD + "learned_from:\n" + "- {runs: 3, success_rate: 0.5}\n" * 7_000, ".yaml"),
    "long-rate": (HEAD + f"performance: {{runs: 3, success_rate: '{'9' * 200_000}%'}}\n", ".yaml"),
    "dependencies": (HEAD + "dependencies:\n" + "- a\n" * 40_000, ".yaml"),
    "rules": (HEAD + "adaptive_rules:\n" + "- {condition: a<1, action: b}\n" * 7_000, ".yaml"),
    "blank-template": (HEAD + f'variables: {{a: "{{{{a|{BLANKS}x"}}\n', ".yaml"),
    "blank-quoted": (HEAD + f'dsl: "RETURN 1\\n#{BLANKS}x"\n', ".yaml"),
    "blank-end": (HEAD + f'dsl: "RETURN 1\\n#{BLANKS}"\n', ".yaml"),
    "misspelt": ("type: orchestration\nname: ab\norchestration_logic: |\n" + "  PARALLELS x y\n" * 15_000, ".yaml"),
    "escaped-values": (HEAD + "x: [" + '"\\x41",' * 25_000 + "]\n", ".yaml"),
    "long-key": (HEAD + "a_" * 450 + "x: 1\n", ".yaml"),
    "blank-title": (f"## a{BLANKS}x\nRETURN 1\n", ".opl"),
    "blank-heading": (f"# a{BLANKS}x\n\ntext\n", ".md"),
    "blank-fence": (f"```{BLANKS}x\nRETURN 1\n```\n", ".md"),
    "equal-fences": ("# a\n" + "```opl\nRETURN 1\n```\n" * 12_000, ".md"),
    "yaml-fences": ("# a\n" + "```yaml\ntype: profile\nname: ab\n```\n" * 6_000, ".md"),
    "headings": ("# a\n" * 60_000, ".md"),
}


@pytest.mark.parametrize("name", LABORIOUS)
def test_a_laborious_document_is_answered_in_time(name: str) -> None:
    text, suffix = LABORIOUS[name]
    assert len(text) <= 256 * 1024

    started = time.process_time()
    report = check(text.encode(), file=f"laborious{suffix}", known=())
    assert report.document is not None
    scan(report.document)

    assert time.process_time() - started < 5


SCRIPTS = {
    "parentheses": "RETURN " + "(" * 25_000,
    "brackets": "RETURN " + "[" * 25_000,
    "nots": "RETURN " + "NOT " * 25_000 + "1",
    "minus": "RETURN " + "-" * 25_000 + "1",
    "blocks": "".join(" " * n + "IF a:\n" for n in range(600)),
    "long-line": "RETURN " + " + ".join(["a"] * 30_000),
    "template": 'RETURN "' + "{{" * 20_000 + '"',
    "many-statements": "STATE a = 1\n" * 15_000,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_hostile_script_is_answered_in_time(name: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD.format(memory=MEMORY), "hostile.opl"],
        input=SCRIPTS[name].encode(),
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )

    assert child.returncode == 0, child.stderr.decode()[-2000:]
    assert float(child.stdout.decode().split("\n")[0]) < 8
