"""
The whole journey on one screen, offline, in two hubs made for the occasion and gone afterwards.

    make demo

Ada's hub publishes, runs, rates and tries a new version in the shadow of the
old one. Bob's hub peers with it by fingerprint, pulls the pattern into
quarantine, tries and admits it, rates it, pushes a fork back, and sees the
tombstone when Ada withdraws hers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
from django.core.management.base import BaseCommand, CommandError

from hub.management.commands.serve import free_port, manage

PATIENCE_SECONDS = 120.0

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


class Node:
    """One hub in a folder of its own, driven through its API as any client would."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.port = free_port("127.0.0.1", 8700)
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("HUB_", "ANTHROPIC_"))},
            "HUB_DATA": str(folder),
            "HUB_PUBLIC_URL": self.url,
            "FEDERATION_ALLOW_LOOPBACK": "1",
        }
        for name in ("DATABASE_URL", "CELERY_BROKER_URL"):
            self.environment.pop(name, None)
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx2.Client(base_url=self.url + "/api/v1", timeout=30)

    def start(self) -> None:
        """Set it up and wait until it answers."""
        log = (self.folder / "serve.log").open("wb")
        command = manage("serve", "--setup", "--port", str(self.port), "--processes", "1")
        self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)  # noqa: S603  our own
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if httpx2.get(self.url + "/readyz", timeout=2).status_code == 200:
                    return
            except httpx2.HTTPError:
                time.sleep(0.2)
        raise CommandError(f"{self.name} did not start; its last words:\n{self.last_words()}")

    def last_words(self) -> str:
        return (self.folder / "serve.log").read_text("utf-8", "replace")[-2000:]

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self.client.close()

    def manage(self, *arguments: str) -> Any:
        """Run one of this node's own commands; gives its JSON."""
        command = manage(*arguments, "--json")
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise CommandError(f"manage.py {' '.join(arguments)} on {self.name}: {done.stderr or done.stdout}")
        return json.loads(done.stdout)

    def sign_in(self) -> None:
        """Make a token for the first account."""
        scopes = ("read", "publish", "run", "verify", "federate")
        token = self.manage("token", "create", "demo", *(part for scope in scopes for part in ("--scope", scope)))
        self.client.headers["Authorization"] = f"Bearer {token['token']}"

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """One API call; an error is said as the API says it."""
        answer = self.client.request(method, path, **options)
        if answer.status_code >= 400:
            raise CommandError(f"{method} {path} on {self.name}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def run(self, pattern: str, **inputs: Any) -> dict[str, Any]:
        """Start a run and wait for its end."""
        run = self.ask("POST", "/runs", json={"pattern": pattern, "inputs": inputs})
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            run = self.ask("GET", f"/runs/{run['id']}")
            if run["ended_at"]:
                return dict(run)
            time.sleep(0.1)
        raise CommandError(f"run {run['id']} of {pattern} did not end in {PATIENCE_SECONDS:g} s")


class Command(BaseCommand):
    help = "Two hubs made for the occasion publish, run, rate, verify, pull, admit, push and withdraw."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--keep", action="store_true", help="leave the folder for a look")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="hub-demo-"))
            if not options["keep"]:
                stack.callback(_remove, folder)
            ada = self.begin("ada", folder, stack)
            name = self.publish_run_rate(ada)
            self.verify_in_shadow(ada, name)
            bob = self.begin("bob", folder, stack)
            self.peer(ada, bob)
            foreign = self.pull_and_admit(bob, name)
            self.push_a_fork(bob, ada, foreign)
            self.withdraw(ada, bob, name)
        self.stdout.write(f"\nDone in {time.monotonic() - started:.0f} s.\n")

    def begin(self, name: str, folder: Path, stack: ExitStack) -> Node:
        """A node that is up and signed in to, and stops with the stack."""
        own = folder / name
        own.mkdir()
        node = Node(name, own)
        stack.callback(node.stop)
        node.start()
        node.sign_in()
        self.say(f"{name} is at {node.url}, with its own database, keys and {len(self.library(node))} library patterns")
        return node

    def library(self, node: Node) -> list[Any]:
        return list(node.ask("GET", "/patterns", params={"owner": "library", "limit": 100})["results"])

    def publish_run_rate(self, node: Node) -> str:
        """Publish our pattern, run it and one of the library's, rate it; gives its name."""
        published = node.ask(
            "POST", "/patterns", content=PATTERN.encode(), headers={"Content-Type": "application/yaml"}
        )
        version = published["patterns"][0]
        self.say(f"published {version['pattern']}@{version['version']} ({version['digest'][:12]})")
        own = node.run(version["pattern"], proposal="A lighthouse museum", reviewers=["captain", "painter", "cook"])
        self.tell_run(own)
        self.tell_run(node.run("library/consensus", proposal="Open the museum on Mondays?"))
        rating = {"stars": 5, "words": "Short and fair."}
        node.ask("PUT", f"/patterns/{version['pattern']}/ratings", json=rating)
        shown = node.ask("GET", f"/patterns/{version['pattern']}/ratings")["results"][0]
        self.say(f"rated {shown['stars']} stars{', marked as somebody who ran it' if shown.get('ran_it') else ''}")
        return str(version["pattern"])

    def verify_in_shadow(self, node: Node, name: str) -> None:
        """Try a second version beside the first on the same inputs; say the verdict."""
        second = PATTERN.replace("version: 1.0.0", "version: 1.1.0").replace("a chair decides", "the chair decides")
        answer = node.ask("POST", "/patterns", content=second.encode(), headers={"Content-Type": "application/yaml"})
        self.say(f"published {name}@{answer['patterns'][0]['version']}, a candidate for the place of 1.0.0")
        inputs = node.folder / "inputs.json"
        inputs.write_text(json.dumps([{"proposal": f"Proposal {number}"} for number in range(1, 61)]), "utf-8")
        verdict = node.manage(
            "verify", f"{name}@1.1.0", "--against", f"{name}@1.0.0", "--inputs", str(inputs), "--profile", "quick"
        )
        self.say(f"tried in the shadow of 1.0.0 on {verdict['pairs']['settled']} pairs: {verdict['outcome']}")
        self.stdout.write(f"      {verdict['sentence']}")

    def peer(self, ada: Node, bob: Node) -> None:
        """Each side compares the other's fingerprint, as two people on the phone would."""
        words = {node.name: node.manage("node")["fingerprint"] for node in (ada, bob)}
        bob.manage("peer", "add", ada.url, "--label", "ada", "--fingerprint", words["ada"], "--tier", "3")
        (waiting,) = ada.manage("peer", "list")["peers"]
        ada.manage("peer", "approve", waiting["node_id"], "--label", "bob", "--fingerprint", words["bob"])
        self.say(f"ada and bob are peers; ada's fingerprint is “{words['ada']}”")

    def pull_and_admit(self, bob: Node, name: str) -> str:
        """Pull into quarantine, wait for the trial, admit; gives the pattern's name on bob's hub."""
        reference = f"ada/{name}@1.0.0"
        item = bob.manage("pull", reference)["item"]
        self.say(f"bob pulled {reference} into quarantine: {item['state']}")
        deadline = time.monotonic() + PATIENCE_SECONDS / 2
        while item["state"] in ("scanned", "trial_queued") and time.monotonic() < deadline:
            time.sleep(1)
            item = bob.manage("pull", reference)["item"]
        if item["state"] != "admitted":
            self.say(f"bob's automatic trial left it at {item['state']}")
            item = bob.manage("pull", reference, "--admit", "--reason", "read it; it asks two agents and nothing else")
            item = item["item"]
        foreign, _, _ = str(item["admitted_as"]).partition("@1.0.0")
        self.say(f"bob admitted it as {foreign}, a candidate there")
        self.tell_run(bob.run(f"{foreign}@1.0.0", proposal="A bench at the pier"))
        bob.ask("PUT", f"/patterns/{foreign}/ratings", json={"stars": 4, "words": "Works here too."})
        self.say("bob ran it and rated it 4 stars")
        return foreign

    def push_a_fork(self, bob: Node, ada: Node, foreign: str) -> None:
        """Fork it, change it, push it back; it lands in ada's quarantine."""
        bob.ask("POST", f"/patterns/{foreign}/fork", json={"name": "pier_review", "version": "1.0.0"})
        changed = PATTERN.replace("name: harbour_review", "name: pier_review").replace("1.0.0", "1.1.0")
        changed = changed.replace('["captain", "bookkeeper"]', '["captain", "bookkeeper", "angler"]')
        bob.ask("POST", "/patterns", content=changed.encode(), headers={"Content-Type": "application/yaml"})
        bob.manage("push", "pier_review@1.1.0", "--peer", "ada")
        self.say("bob forked it, added a reviewer, and pushed pier_review@1.1.0 to ada")
        ada.manage("node", "tick")
        item = ada.manage("pull", "bob/admin/pier_review@1.1.0")["item"]
        self.say(f"at ada's it waits in quarantine: {item['state']}")

    def withdraw(self, ada: Node, bob: Node, name: str) -> None:
        """Ada yanks; the tombstone reaches bob."""
        reason = "the chair should abstain on a tie"
        ada.ask("POST", f"/patterns/{name}/versions/1.0.0/yank", json={"reason": reason})
        ada.manage("node", "tick")
        bob.manage("peer", "sync", "ada")
        item = bob.manage("pull", f"ada/{name}@1.0.0")["item"]
        self.say(f"ada withdrew {name}@1.0.0, and bob's copy says so: “{item['yanked']}”")

    def tell_run(self, run: dict[str, Any]) -> None:
        result = json.dumps(run["result"], ensure_ascii=False)
        kind = "simulated" if run["simulated"] else "real"
        self.say(
            f"run {run['id']} of {run['pattern']}: {run['status']} in {run['duration_seconds']:.2f} s ({kind} agents)"
        )
        self.stdout.write(f"      {result if len(result) < 110 else result[:107] + '…'}")

    def say(self, sentence: str) -> None:
        self.stdout.write(f"  ✓ {sentence}")
        self.stdout.flush()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
