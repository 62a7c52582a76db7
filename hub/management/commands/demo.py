"""
The whole journey on one screen, offline, in two hubs made for the occasion and gone afterwards.

    make demo

Ada's hub publishes, runs, rates and tries a new version in the shadow of the
old one. Bob's hub peers with it by fingerprint and pulls the pattern into
quarantine, where a trial decides by itself; it is admitted, rated, and a fork
is pushed back. Ada withdraws hers, and Bob sees the tombstone. Exit code 1
where a step does not do what it shows.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from argparse import SUPPRESS, ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from hub.management.demo_nodes import PATIENCE_SECONDS, DemoNode, StepFailed, be_hands

SHADOW_INPUTS = 24  # proposals that both versions are tried on
POLL_SECONDS = 0.5
WIDTH = 96  # of what a line shows of a result

PATTERN = """\
type: orchestration_pattern
name: harbour_review
version: 1.0.0
author: demo
category: decision
tags: [review, demo]
license: MIT

pattern:
  description: |
    Two reviewers mark a proposal at the same time; a chair decides by the mean of their marks.
  discovery_insights:
    - Two independent marks are worth more than two rounds of talk.

parameters:
  type: object
  properties:
    proposal: {type: string, description: What is reviewed.}
    reviewers: {type: array, items: {type: string}, minItems: 1}

success_when: mean_score != null
score: mean_score

dsl: |
  ## Harbour review: mark apart, decide together
  STATE proposal = "A second ferry on summer evenings"
  STATE reviewers = ["captain", "bookkeeper"]
  STATE marks = []
  STATE mean_score = null
  PARALLEL:
    FOREACH reviewer IN reviewers:
      EVENT completion:async {agent_id: reviewer, prompt: "Mark from 0 to 1 as {\\"score\\": n}: {{proposal}}"} AS mark
      IF mark.success:
        APPEND marks {reviewer: reviewer, score: mark.score}
  UPDATE mean_score = AVERAGE(marks, m => m.score)
  TRACK {marks: marks.length, mean_score: mean_score, progress_percent: 100}
  RETURN {decision: mean_score >= 0.5 ? "accept" : "reject", mean_score: mean_score, marks: marks}
"""


class Command(BaseCommand):
    help = "Two hubs made for the occasion publish, run, rate, verify, pull, admit, push and withdraw."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--keep", action="store_true", help="leave the folder for a look")
        parser.add_argument("--hands", action="store_true", help=SUPPRESS)  # see hub.management.demo_nodes

    def handle(self, *args: Any, **options: Any) -> None:
        if options["hands"]:
            be_hands()
            return
        self.started = time.monotonic()
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="hub-demo-"))
            if not options["keep"]:
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self.journey(folder, stack)
        self.stdout.write(f"\n  Done in {self.elapsed:.0f} s. Both hubs are stopped", ending="")
        self.stdout.write(f"; their folders are in {folder}.\n" if options["keep"] else " and gone.\n")

    def journey(self, folder: Path, stack: ExitStack) -> None:
        """Every step, in order; the first that fails ends it."""
        self.chapter("Two hubs", "each with its own database, keys and workers")
        ada, bob = self.begin(("ada", "bob"), folder, stack)
        self.chapter("Ada", "publishes, runs, rates, and tries a second version in the shadow of the first")
        name = self.publish_run_rate(ada)
        self.verify_in_shadow(ada, name)
        self.chapter("Peers", "compare eight words, as two people on the phone would")
        self.peer(ada, bob)
        self.chapter("Bob", "takes the pattern in only after his own hub has tried it")
        foreign = self.pull_and_try(bob, name)
        self.run_and_rate(bob, foreign)
        self.push_a_fork(bob, ada, foreign)
        self.chapter("Withdrawal", "reaches whoever has a copy")
        self.withdraw(ada, bob, name)

    # --- the steps ---

    def begin(self, names: tuple[str, ...], folder: Path, stack: ExitStack) -> list[DemoNode]:
        """Nodes that are up and signed in to, set up side by side; they stop with the stack."""
        nodes: list[DemoNode] = []
        for name in names:
            (folder / name).mkdir()
            nodes.append(DemoNode(name, folder / name, **({"above": nodes[-1].port} if nodes else {})))
            stack.callback(nodes[-1].stop)
            nodes[-1].start()
        for node in nodes:
            node.wait_until_up()
            shown = node.ask("GET", "/patterns", params={"owner": "library", "limit": 100})["results"]
            self.say(f"{node.name} is at {node.url}, with {len(shown)} patterns of the library")
        return nodes

    def publish_run_rate(self, node: DemoNode) -> str:
        """Publish our pattern, run it and one of the library's, rate it; gives its name."""
        version = node.publish(PATTERN)
        name = str(version["pattern"])
        self.say(f"published {name}@{version['version']}", f"sha256 {version['digest'][:16]}…")
        self.tell_run(node.run(name, proposal="A lighthouse museum", reviewers=["captain", "painter", "cook"]))
        self.tell_run(node.run("library/consensus", proposal="Open the museum on Mondays?"))
        node.ask("PUT", f"/patterns/{name}/ratings", json={"stars": 5, "words": "Short and fair."})
        shown = node.ask("GET", f"/patterns/{name}/ratings")["results"][0]
        self.say(f"rated it {stars(shown['stars'])}", "by somebody who ran it" if shown.get("ran_it") else "")
        return name

    def verify_in_shadow(self, node: DemoNode, name: str) -> None:
        """Try a second version beside the first on the same inputs; say the verdict."""
        second = PATTERN.replace("version: 1.0.0", "version: 1.1.0").replace("a chair decides", "the chair decides")
        candidate = node.publish(second)
        self.say(f"published {name}@{candidate['version']}", "a candidate for the place of 1.0.0")
        inputs = node.folder / "inputs.json"
        proposals = [{"proposal": f"Proposal {number}"} for number in range(1, SHADOW_INPUTS + 1)]
        inputs.write_text(json.dumps(proposals), "utf-8")
        arms = (f"{name}@1.1.0", "--against", f"{name}@1.0.0")
        verdict = node.command("verify", *arms, "--inputs", str(inputs), "--profile", "quick")
        self.say(f"tried it beside 1.0.0 on {verdict['pairs']['settled']} pairs of runs: {verdict['outcome']}")
        self.detail(verdict["sentence"])

    def peer(self, ada: DemoNode, bob: DemoNode) -> None:
        """Each side gives the other's eight words; a wrong one would be refused."""
        words = {node.name: node.command("node")["fingerprint"] for node in (ada, bob)}
        bob.command("peer", "add", ada.url, "--label", "ada", "--fingerprint", words["ada"], "--tier", "3")
        (waiting,) = ada.command("peer", "list")["peers"]
        ada.command("peer", "approve", waiting["node_id"], "--label", "bob", "--fingerprint", words["bob"])
        for node in (ada, bob):
            self.say(f"{node.name}'s words are compared", words[node.name])

    def pull_and_try(self, bob: DemoNode, name: str) -> str:
        """Pull into quarantine and wait for the trial to decide; gives the pattern's name on bob's hub."""
        reference = f"ada/{name}@1.0.0"
        item = bob.command("pull", reference)["item"]
        self.say(f"pulled {reference} into quarantine", f"{item['state']}: {item['reason']}")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while item["state"] in ("signed_ok", "scanned", "trial_queued"):
            if time.monotonic() > deadline:
                raise StepFailed(f"bob's automatic trial did not end in {PATIENCE_SECONDS:g} s: {item}")
            self.progress("trial", item["pairs"]["settled"], item["pairs"]["planned"])
            time.sleep(POLL_SECONDS)
            bob.command("node", "tick")
            item = bob.command("pull", reference)["item"]
        self.progress("", 0, 0)
        if item["state"] != "admitted":
            raise StepFailed(f"bob's automatic trial left it at {item['state']}: {item['reason']}")
        self.say("its trial passed, and it was admitted by itself", f"{item['pairs']['settled']} pairs of runs")
        self.detail(item["reason"])
        return str(item["admitted_as"]).partition("@1.0.0")[0]

    def run_and_rate(self, bob: DemoNode, foreign: str) -> None:
        """The pattern works on another hub as well."""
        self.say(f"it stands there as {foreign}", "a candidate")
        self.tell_run(bob.run(f"{foreign}@1.0.0", proposal="A bench at the pier"))
        bob.ask("PUT", f"/patterns/{foreign}/ratings", json={"stars": 4, "words": "Works here too."})
        self.say(f"rated it {stars(4)}")

    def push_a_fork(self, bob: DemoNode, ada: DemoNode, foreign: str) -> None:
        """Fork it, change it, push it back; it lands in ada's quarantine."""
        bob.ask("POST", f"/patterns/{foreign}/fork", json={"name": "pier_review", "version": "1.0.0"})
        changed = PATTERN.replace("name: harbour_review", "name: pier_review").replace("1.0.0", "1.1.0")
        bob.publish(changed.replace('["captain", "bookkeeper"]', '["captain", "bookkeeper", "angler"]'))
        pushed = bob.command("push", "pier_review@1.1.0", "--peer", "ada")
        if not pushed["accepted"]:
            raise StepFailed(f"ada took nothing of bob's push: {pushed}")
        self.say("forked it, added a reviewer, and pushed pier_review@1.1.0 to ada")
        item = ada.command("pull", "bob/admin/pier_review@1.1.0")["item"]
        self.say("at ada's it waits in quarantine", f"{item['state']}")

    def withdraw(self, ada: DemoNode, bob: DemoNode, name: str) -> None:
        """Ada yanks; the tombstone reaches bob."""
        reason = "the chair should abstain on a tie"
        ada.ask("POST", f"/patterns/{name}/versions/1.0.0/yank", json={"reason": reason})
        self.say(f"ada withdrew {name}@1.0.0")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            ada.command("node", "tick")
            yanked = bob.command("pull", f"ada/{name}@1.0.0")["item"]["yanked"]
            if yanked == reason:
                break
            if time.monotonic() > deadline:
                raise StepFailed("the tombstone did not reach bob")
            time.sleep(POLL_SECONDS)
        self.say("bob's copy says so", f"“{yanked}”")

    # --- what is shown ---

    @property
    def elapsed(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self.started

    def chapter(self, title: str, about: str) -> None:
        self.stdout.write(f"\n  {self.style.MIGRATE_HEADING(title)}  {about}")
        self.stdout.flush()

    def say(self, sentence: str, aside: str = "") -> None:
        """One thing that was done, at what second."""
        dot = self.style.SUCCESS("✓")
        self.stdout.write(f"  {dot} {self.elapsed:4.0f} s  {sentence}" + (f"  · {aside}" if aside else ""))
        self.stdout.flush()

    def detail(self, text: str) -> None:
        self.stdout.write(f"             {text if len(text) <= WIDTH else text[: WIDTH - 1] + '…'}")

    def tell_run(self, run: dict[str, Any]) -> None:
        kind = "simulated" if run["simulated"] else "real"
        self.say(f"ran {run['pattern']}", f"{run['duration_seconds']:.2f} s, {kind} agents")
        self.detail(json.dumps(run["result"], ensure_ascii=False))

    def progress(self, what: str, done: int, total: int) -> None:
        """A bar on a terminal, nothing elsewhere; an empty name wipes it."""
        if not self.stdout.isatty():
            return
        filled = round(24 * done / total) if total else 0
        bar = f"           {what} {'█' * filled}{'░' * (24 - filled)} {done}/{total} pairs" if what else ""
        self.stdout.write(f"\r{bar:<{WIDTH}}\r", ending="")
        self.stdout.flush()


def stars(count: int) -> str:
    """Out of five."""
    return "★" * count + "☆" * (5 - count)
