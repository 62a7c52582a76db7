"""
Adaptive rules while a script runs.

After every TRACK each rule's condition is evaluated over what was tracked so
far. One that turns from false to true, all its names being tracked, fires: a
``rule`` effect and an event ``rule:fired``; then the assignments that the
document maps its action to are carried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opl.errors import ScriptError
from opl.script.machine.frame import Frame

if TYPE_CHECKING:
    from opl.script.machine.run import Run


def apply_rules(run: Run, f: Frame) -> None:
    """Look at every rule once, in their order."""
    tracked = run.state["tracked"]
    view = _view(run, tracked, None)
    for index, rule in enumerate(run.linked.program["rules"]):
        test = run.linked.tests[index]
        if test is None or not all(name in tracked for name in rule["names"]):
            continue
        try:
            holds = bool(test(view))
        except ScriptError as error:
            run.context.line = rule["line"]
            run.context.warn("opl.run.rule", f"the rule {rule['condition']!r} could not be tested: {error.message}")
            holds = False
        before = run.state["fired"].get(str(index), False)
        run.state["fired"][str(index)] = holds
        if holds and not before:
            _fire(run, f, index, rule)


def _view(run: Run, values: dict[str, Any], parent: Frame | None) -> Frame:
    return Frame(run, {"vars": values, "mirror": [], "temps": {}}, parent)


def _fire(run: Run, f: Frame, index: int, rule: dict[str, Any]) -> None:
    told = {name: rule[name] for name in ("condition", "action", "rationale")}
    line = rule["line"] or run.linked.places[f.data["pc"]][0]
    action = {"use": rule["use"]} if rule["use"] else {}
    run.effects.append({"kind": "rule", "index": index, **told, **action, "line": line, "at": run.state["at"]})
    seq = run._next_event(line, 1, told)
    run.effects.append(
        {
            "kind": "event",
            "seq": seq,
            "key": f"rule{index}@{seq}",
            "name": "rule:fired",
            "data": told,
            "branch": f.data["path"],
            "line": line,
            "column": 1,
            "at": run.state["at"],
            "reply": "none",
            "timeout": None,
            "shape": None,
        }
    )
    if "observers" in run.state:
        run.notice(f, "rule:fired", told, seq)
    root = run.frame(run.branches["0"])
    for name, value in run.linked.changes[index]:
        try:
            root.assign(name, value(_view(run, run.state["tracked"], root)))
        except ScriptError as error:
            run.context.line = line
            run.context.warn("opl.run.rule", f"the action of the rule could not set '{name}': {error.message}")
