"""
Steer a run from the command line.

    manage.py steer 17 show                        manage.py steer 17 pause
    manage.py steer 17 answer yes [--seq 4]        manage.py steer 17 resume
    manage.py steer 17 retry [--tick 3]            manage.py steer 17 cancel --reason "wrong text"
    manage.py steer 17 branch [--tick 3] [--inputs '{"rounds": 2}'] [--pattern owner/name@2.0.0]
    manage.py steer 17 rollback --tick 3           manage.py steer 17 checkpoint --label "before the vote"

Each is one service, the same that the page and the API call. What is changed
in the database a running worker finds within a moment; retry, branch and
rollback make a new run, which is carried out by a worker too.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from execution.api import render
from execution.errors import ExecutionError
from execution.management.arguments import as_object
from execution.models import Run
from execution.services import branching, controlling
from execution.services.clock import to_ms
from registry.errors import RegistryError
from registry.services import finding

ACTIONS = ("show", "cancel", "pause", "resume", "answer", "retry", "branch", "rollback", "checkpoint")


class Command(BaseCommand):
    help = "Show, cancel, pause, resume, answer, retry, branch or roll back a run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="its number")
        parser.add_argument("action", choices=ACTIONS)
        parser.add_argument("answer", nargs="?", default=None, help="for answer: JSON, or text")
        parser.add_argument("--seq", type=int, default=None, help="which question is answered; the only open one")
        parser.add_argument(
            "--tick", type=int, default=None, help="for retry, branch and rollback: go on after this tick"
        )
        parser.add_argument(
            "--anew", action="store_true", help="for branch: ask agents again, too, what they answered after the tick"
        )
        parser.add_argument("--inputs", default="", help="for branch: JSON object of the inputs that change")
        parser.add_argument("--pattern", default="", help="for branch: another version, as owner/name@version")
        parser.add_argument("--limits", default="", help='for branch: JSON object, such as {"tokens": 50000}')
        parser.add_argument("--reason", default="", help="for cancel")
        parser.add_argument("--label", default="", help="for checkpoint")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        run = Run.objects.select_related("version__pattern__owner", "started_by").filter(pk=options["run"]).first()
        if run is None:
            raise CommandError(f"there is no run {options['run']}")
        try:
            made = getattr(self, f"_{options['action']}")(run, options)
        except (ExecutionError, RegistryError) as error:
            raise CommandError(str(error)) from error
        self.tell(Run.objects.select_related("version__pattern__owner", "started_by").get(pk=(made or run).pk), options)

    # ------------------------------------------------------------ one service each

    def _show(self, run: Run, options: Mapping[str, Any]) -> None:
        """Nothing but telling."""

    def _cancel(self, run: Run, options: Mapping[str, Any]) -> None:
        controlling.cancel(run_id=run.pk, now=to_ms(timezone.now()), reason=options["reason"])

    def _pause(self, run: Run, options: Mapping[str, Any]) -> None:
        controlling.pause(run_id=run.pk, now=to_ms(timezone.now()))

    def _resume(self, run: Run, options: Mapping[str, Any]) -> None:
        controlling.resume(run_id=run.pk, now=to_ms(timezone.now()))

    def _answer(self, run: Run, options: Mapping[str, Any]) -> None:
        if options["answer"] is None:
            raise CommandError(
                "write the answer: manage.py steer RUN answer yes, or a JSON value such as '{\"n\": 1}'", returncode=2
            )
        seq = options["seq"] if options["seq"] is not None else self._only_question(run)
        value = _value(options["answer"])
        controlling.answer(run_id=run.pk, seq=seq, value=value, now=to_ms(timezone.now()), by="the command line")

    def _only_question(self, run: Run) -> int:
        found = controlling.open_questions(run.pk)
        if len(found) != 1:
            listed = "; ".join(f"--seq {each.seq}: {each.data().get('question', '')}" for each in found)
            raise CommandError(f"choose the question: {listed}" if found else f"run {run.pk} asks nobody anything")
        return found[0].seq

    def _retry(self, run: Run, options: Mapping[str, Any]) -> Run:
        if options["tick"] is not None:
            return branching.branch(run=run, now=timezone.now(), tick=options["tick"])
        return branching.retry(run=run, now=timezone.now())

    def _branch(self, run: Run, options: Mapping[str, Any]) -> Run:
        limits = _object(options["limits"], "--limits")
        return branching.branch(
            run=run,
            now=timezone.now(),
            tick=options["tick"],
            inputs=_object(options["inputs"], "--inputs"),
            version=finding.version(options["pattern"], run.started_by) if options["pattern"] else None,
            policy={"limits": limits} if limits is not None else None,
            anew=options["anew"],
        )

    def _rollback(self, run: Run, options: Mapping[str, Any]) -> Run:
        if options["tick"] is None:
            raise CommandError(f"say where to: --tick 1 to {run.tick}", returncode=2)
        return branching.rollback(run=run, tick=options["tick"], now=timezone.now())

    def _checkpoint(self, run: Run, options: Mapping[str, Any]) -> None:
        controlling.mark(run_id=run.pk, now=to_ms(timezone.now()), label=options["label"], note=None)

    # ------------------------------------------------------------ telling

    def tell(self, run: Run, options: Mapping[str, Any]) -> None:
        """What became of it, and what to do next."""
        if options["json"]:
            self.stdout.write(json.dumps(render.run_detail(run), default=str, ensure_ascii=False))
            return
        before = f", out of run {run.forked_from_id} at tick {run.forked_at_tick}" if run.forked_from_id else ""
        self.stdout.write(f"Run {run.pk} of {run.version}: {run.status} at tick {run.tick}{before}")
        if run.has_ended:
            self.stdout.write(f"Result: {json.dumps(run.result_value(), ensure_ascii=False)[:2000]}")
        if run.error:
            self.stdout.write(f"Error: {run.error['message']} (line {run.error['line']})")
        for each in controlling.open_questions(run.pk):
            asked = each.data()
            choices = f" ({', '.join(map(str, asked['choices']))})" if asked.get("choices") else ""
            self.stdout.write(f"It asks (--seq {each.seq}): {asked.get('question', '')}{choices}")
        self.stdout.write(f"See it at /runs/{run.pk}")


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _object(text: str, option: str) -> dict[str, Any] | None:
    if not text:
        return None
    value = _value(text)
    return as_object(value, option)
