"""
Try a candidate against a control.

    manage.py verify ada/vote@1.1.0 --against ada/vote@1.0.0 --inputs inputs.jsonl
    manage.py verify new.yaml --against old.yaml --inputs inputs.yaml --profile quick --json
    manage.py verify ada/vote@1.1.0 --against ada/vote@1.0.0 --live --share 0.2 --detach
    manage.py verify --trial 7 --cancel --reason "wrong inputs";  verify --kill: the kill switch of the hub
    manage.py verify --self-check

Where no worker of trials is running, the trial is carried out right here.
Exit 0: there is a verdict (or the self-check holds), 1: refused, or none.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from execution.errors import ExecutionError, TrialRefused
from execution.management.showing import Bar
from execution.models import Trial
from execution.models.trial import TrialMode
from execution.services import trial_facts, trial_files, trial_inputs, verifying
from execution.services.clock import now_ms
from execution.services.observing import workers_alive
from execution.services.preferring import Judge
from execution.services.verifying import Budget
from execution.shadow.errors import PlanInvalid
from execution.shadow.plan import PROFILES
from execution.shadow.selfcheck import TRIALS, self_check
from execution.worker import Worker, WorkerSettings
from registry.errors import InvalidRequest
from registry.management.output import RegistryCommand, acting_user

POLL_SECONDS = 0.3
MOST_SIMULATED = 1_000_000  # trials of the self-check, per scenario


class Command(RegistryCommand):
    """See the module."""

    help = "Try a candidate against a control on the same inputs, and print the verdict."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "candidate", nargs="?", default="", metavar="CANDIDATE", help="owner/name@version or a file"
        )
        parser.add_argument("--against", default="", metavar="CONTROL", help="owner/name@version or a file")
        parser.add_argument("--inputs", default="", metavar="FILE", help="JSON list, JSON lines or YAML list of inputs")
        parser.add_argument(
            "--recorded", type=int, default=0, metavar="N", help="the inputs of the control's last N runs instead"
        )
        parser.add_argument("--profile", default="", choices=["", *PROFILES], help="default: what the control says")
        parser.add_argument("--backend", default="", help="agents of both arms; `recorded` for recorded answers")
        parser.add_argument("--judge", default="", metavar="CRITERIA", help="ask a judge which answer is better")
        parser.add_argument("--judge-backend", default="", help="agents of the judge; default: those of the arms")
        parser.add_argument("--repeats", type=int, default=1, help="runs of each arm on one input")
        parser.add_argument("--at-once", type=int, default=None, help="pairs under way at the same time")
        parser.add_argument(
            "--batches", action="store_true", help="message batches: half the price, answers within a day"
        )
        parser.add_argument(
            "--live", action="store_true", help="beside real runs of the control, until there is a verdict"
        )
        parser.add_argument("--share", type=float, default=0.1, help="of real runs that a live trial shadows")
        parser.add_argument("--scheduled", action="store_true", help="look only at planned numbers of pairs")
        parser.add_argument("--looks", default="", metavar="N,N,…", help="these numbers; the last is the size")
        parser.add_argument("--success-when", default="", help="what both arms are judged by, an expression")
        parser.add_argument("--score", default="", help="quality of both arms, an expression from 0 to 1")
        parser.add_argument(
            "--cap", action="append", default=[], metavar="NAME=N", help="a limit of each run, e.g. tokens=50000"
        )
        seen = parser.add_mutually_exclusive_group()
        seen.add_argument("--public", action="store_true", help="whoever sees both versions sees the trial")
        seen.add_argument("--private", action="store_true", help="only you see the trial")
        parser.add_argument("--daily-cost-usd", type=float, default=None, help="what runs started on one day may cost")
        parser.add_argument("--cost-usd", type=float, default=None, help="what all runs may cost together")
        parser.add_argument("--trial", type=int, default=0, metavar="ID", help="go on with a trial that was paused")
        parser.add_argument("--pause", action="store_true", help="with --trial: start nothing more")
        parser.add_argument("--cancel", action="store_true", help="with --trial: end it without a verdict")
        parser.add_argument("--kill", action="store_true", help="the kill switch: of --trial, or of every trial alive")
        parser.add_argument("--reason", default="", help="why it is paused, cancelled or killed")
        parser.add_argument("--report", default="", metavar="FILE", help="write the report there")
        parser.add_argument("--detach", action="store_true", help="start it and leave the rest to the workers")
        parser.add_argument("--self-check", action="store_true", help="simulate the procedure on this machine")
        parser.add_argument("--trials", type=int, default=TRIALS, help="of the self-check, per scenario")
        parser.add_argument("--seed", type=int, default=1, help="of the self-check")

    def handle(self, *args: Any, **options: Any) -> None:
        self.ok = True
        try:
            super().handle(*args, **options)
        except (ExecutionError, PlanInvalid) as error:
            self.refuse(_as_registry(error), as_json=options["json"])
        if not self.ok:
            sys.exit(1)

    def act(self, **options: Any) -> dict[str, Any]:
        if options["self_check"]:
            return self.check_self(options)
        if options["pause"] or options["cancel"] or options["kill"]:
            return self.steer(options)
        if not options["trial"] and not (options["candidate"] and options["against"]):
            raise CommandError("name a CANDIDATE and a CONTROL: verify CANDIDATE --against CONTROL", returncode=2)
        trial = self.trial(options)
        if not options["detach"]:
            self.carry_out(trial, quiet=options["json"])
            trial = Trial.objects.select_related("control__pattern__owner", "candidate__pattern__owner").get(
                pk=trial.pk
            )
        written = self.write_report(trial, options["report"])
        self.ok = options["detach"] or trial.status == "decided"
        return {"ok": self.ok, **trial_facts.trial_detail(trial), "report_file": written}

    def write_report(self, trial: Trial, path: str) -> str | None:
        """The report of a decided trial, where a file was named."""
        if not path or trial.status != "decided":
            return None
        try:
            Path(path).write_bytes(bytes(trial.report.data))
        except OSError as error:
            # The verdict stands all the same; it is fetched again with --trial.
            reason = error.strerror or "it cannot be written"
            raise InvalidRequest(
                "report", f"{path}: {reason}; the trial is decided: verify --trial {trial.pk} --report FILE"
            ) from None
        return path

    # ------------------------------------------------------------ steering

    def steer(self, options: dict[str, Any]) -> dict[str, Any]:
        """Pause, cancel or kill one trial, or kill all of them."""
        now, reason = timezone.now(), options["reason"]
        if not options["trial"]:
            if not options["kill"]:
                raise CommandError("name the trial with --trial ID", returncode=2)
            return {"ok": True, "killed": verifying.kill_all(now=now, reason=reason or "stopped by the kill switch")}
        trial = self.existing(options)
        if not trial.may_control(acting_user(options["user"])):
            raise InvalidRequest("trial", "only the person who started a trial may steer it")
        if options["pause"]:
            trial = verifying.pause(trial=trial, now=now, note=reason)
        else:
            trial = verifying.cancel(trial=trial, now=now, reason=reason, kill=options["kill"])
        return {"ok": True, **trial_facts.trial_detail(trial), "report_file": None}

    def existing(self, options: dict[str, Any]) -> Trial:
        """The trial of ``--trial``."""
        visible = Trial.objects.visible_to(acting_user(options["user"])).for_list()
        found = visible.filter(pk=options["trial"]).first()
        if found is None:
            raise InvalidRequest("trial", f"there is no trial {options['trial']}")
        return found

    # ------------------------------------------------------------ starting

    def trial(self, options: dict[str, Any]) -> Trial:
        user, now = acting_user(options["user"]), timezone.now()
        if options["trial"]:
            found = self.existing(options)
            return verifying.resume(trial=found, now=now) if found.status == "paused" else found
        control = trial_files.version_of(options["against"], user=user, now=now)
        candidate = trial_files.version_of(options["candidate"], user=user, now=now)
        return verifying.start_trial(
            control=control,
            candidate=candidate,
            user=user,
            now=now,
            mode=TrialMode.LIVE if options["live"] else TrialMode.BATCH,
            inputs=_inputs(options, control, user),
            profile=options["profile"],
            test="scheduled" if options["scheduled"] else "",
            looks=_looks(options["looks"]),
            share=options["share"],
            caps=_caps(options["cap"]),
            success_when=options["success_when"],
            score=options["score"],
            is_public=True if options["public"] else False if options["private"] else None,
            backend=options["backend"],
            repeats=options["repeats"],
            at_once=options["at_once"],
            in_batches=options["batches"],
            budget=_budget(options),
            judge=_judge(options),
        )

    # ------------------------------------------------------------ carrying out

    def carry_out(self, trial: Trial, *, quiet: bool) -> None:
        """Until the trial has ended; Ctrl-C pauses it where it is carried out here."""
        bar = Bar(self.stderr, quiet=quiet)
        worker = None if workers_alive() else Worker(WorkerSettings(queue="trials", poll_seconds=0.05))
        if worker is not None:
            worker.start()
        try:
            self.wait(trial, worker, bar)
            # Pairs behind the verdict may be under way: nobody wants their answers, which would count as in doubt.
            while worker is not None and trial.has_ended and verifying.end_runs(trial.pk, now_ms()):
                continue
        except KeyboardInterrupt:
            if worker is not None:
                verifying.pause(trial=trial, now=timezone.now(), note="the command that carried it out was stopped")
            raise CommandError(f"stopped; go on with: manage.py verify --trial {trial.pk}") from None
        finally:
            bar.close()
            if worker is not None:
                worker.stop()

    def wait(self, trial: Trial, worker: Worker | None, bar: Bar) -> None:
        shown = 0.0
        while True:
            if worker is None:
                time.sleep(POLL_SECONDS)
            elif not worker.claim_and_run():
                worker._wait()
            if worker is None or time.monotonic() - shown > 0.2:
                shown = time.monotonic()
                trial.refresh_from_db(fields=["status", "settled", "outcome", "note", "enrolled"])
                bar.show(trial.settled, trial.plan["n_max"], trial.note)
                if trial.has_ended or trial.status == "paused":
                    return

    # ------------------------------------------------------------ self-check

    def check_self(self, options: dict[str, Any]) -> dict[str, Any]:
        if not 1 <= options["trials"] <= MOST_SIMULATED:
            raise TrialRefused("trials", f"give 1 to {MOST_SIMULATED:,} simulated trials of each kind")
        found = self_check(trials=options["trials"], seed=options["seed"], profile=options["profile"] or "standard")
        self.ok = found.good
        return {
            "ok": found.good,
            "type_i_error": found.type_i_error,
            "power": found.power,
            "trials": found.trials,
            "seconds": round(found.seconds, 2),
            "checks": [
                {
                    "name": check.name,
                    "promoted": check.promoted,
                    "pairs": check.pairs,
                    "bound": check.bound,
                    "at_least": check.at_least,
                    "good": check.good,
                    "sentence": check.sentence,
                }
                for check in found.checks
            ],
        }

    # ------------------------------------------------------------ saying

    def say(self, answer: dict[str, Any]) -> list[str]:
        if "killed" in answer:
            return [f"{answer['killed']} trials were stopped."]
        if "checks" in answer:
            lines = [check["sentence"] for check in answer["checks"]]
            return [
                *lines,
                f"type-I error {answer['type_i_error']:.2%}, power {answer['power']:.2%}"
                f" ({answer['trials']} trials each, {answer['seconds']:g} s)",
            ]
        if answer["status"] != "decided":
            return [f"Trial {answer['id']} is {answer['status']}: {answer['note'] or 'the workers carry it out'}."]
        lines = [f"{answer['outcome']}: {answer['sentence']}"]
        lines += [
            f"  {row['metric']:<10} mean {row['mean']:+.4f}   95 % [{row['low']:+.4f}, {row['high']:+.4f}]   {row['pairs']} pairs"
            for row in answer["metrics"]
        ]
        if answer["simulated"]:
            lines.append("  The agents were simulated: a wind tunnel, not evidence.")
        where = answer["report_file"]
        lines.append(
            f"  Report: {where}; recheck it with: manage.py recheck {where}"
            if where
            else f"  Report: {answer['report']}"
        )
        return lines


def _budget(options: dict[str, Any]) -> Budget | None:
    if options["live"] and options["cost_usd"] is None and options["daily_cost_usd"] is None:
        return None  # the usual one; a live trial is never without
    return Budget(cost_usd=options["cost_usd"], daily_cost_usd=options["daily_cost_usd"])


def _looks(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdecimal() and len(part) < 8 for part in parts):
        raise InvalidRequest("looks", "give numbers of pairs, ascending: --looks 50,100,200")
    return tuple(map(int, parts))


def _caps(given: list[str]) -> dict[str, float]:
    caps = {}
    for each in given:
        name, _, number = each.partition("=")
        try:
            caps[name.strip()] = float(number) if "." in number else int(number)
        except ValueError:
            raise InvalidRequest("cap", f"{each!r} is no limit; give one such as tokens=50000") from None
    return caps


def _judge(options: dict[str, Any]) -> Judge | None:
    if not options["judge"]:
        return None
    return Judge(criteria=options["judge"], backend=options["judge_backend"])


def _inputs(options: dict[str, Any], control: Any, user: Any) -> list[trial_inputs.GivenInput]:
    if options["recorded"]:
        found = trial_inputs.recorded(version=control, user=user, limit=max(options["recorded"], 1))
        if not found:
            raise InvalidRequest("recorded", f"{control.pattern} has no ended runs to take inputs from")
        return found
    if not options["inputs"]:
        return []
    try:
        data = sys.stdin.buffer.read() if options["inputs"] == "-" else Path(options["inputs"]).read_bytes()
    except OSError as error:
        raise InvalidRequest("inputs", f"{options['inputs']}: {error.strerror or 'it cannot be read'}") from None
    return trial_inputs.read_inputs(data)


def _as_registry(error: Exception) -> Any:
    """An error of execution in the shape that commands print."""
    wrapped = InvalidRequest("", str(error))
    wrapped.code = str(getattr(error, "code", "execution.refused"))
    return wrapped
