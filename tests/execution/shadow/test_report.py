"""The verification report: it rechecks, and any change is refused."""

import base64
import copy
import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.shadow.errors import ReportRefused
from execution.shadow.judge import Answer, Asked, examine
from execution.shadow.plan import Mode, TrialPlan
from execution.shadow.recheck import recheck
from execution.shadow.report import build, digest_of, dump, signed_bytes
from execution.shadow.verdict import Health, Outcome

from .builders import SUCCESS_ONLY, noisy_pairs, pairs_of, setting

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"
PLAN = TrialPlan.of_profile("standard", strata=("short", "long"))


EXAMPLES = SCHEMAS / "examples/verification-report"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON_VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=5), SCALARS)


@pytest.fixture(scope="module")
def report():
    pairs = noisy_pairs(200)
    pairs[6] = replace(pairs[6], contrasts={}, missing="the worker was lost three times")
    return build(setting(PLAN), pairs)


@pytest.fixture(scope="module")
def validator():
    schema = json.loads((SCHEMAS / "verification-report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


class TestRecheck:
    def test_confirms_a_report_as_it_was_written(self, report):
        found = recheck(dump(report))

        assert found.outcome is Outcome.PROMOTE
        assert (found.trial, found.missing, found.digest) == ("trial-1", 1, report["digest"])
        assert found.sentence == report["body"]["verdict"]["sentence"]

    def test_confirms_one_that_was_parsed(self, report):
        assert recheck(json.loads(dump(report))).outcome is Outcome.PROMOTE

    @pytest.mark.parametrize(
        ("plan", "pairs", "outcome"),
        [
            (SUCCESS_ONLY, pairs_of([]), "needs_more"),
            (SUCCESS_ONLY, pairs_of([-1] * 30), "reject_harm"),
            (SUCCESS_ONLY, pairs_of([0] * 90), "reject_futile"),
            (replace(SUCCESS_ONLY, n_max=30, n_min=20), pairs_of([0, 1, -1] * 10), "inconclusive"),
            (replace(SUCCESS_ONLY, mode=Mode.SCHEDULED), pairs_of([1] * 90), "promote"),
        ],
    )
    def test_confirms_every_outcome(self, plan, pairs, outcome):
        assert recheck(dump(build(setting(plan), pairs))).outcome == outcome

    def test_confirms_a_trial_that_a_judge_spoiled(self):
        leaning = examine([Asked(control_first=Answer.FIRST, candidate_first=Answer.FIRST)] * 40)
        health = Health(judge_qualified=leaning.qualified, judge_reason=leaning.reason)
        written = build(setting(SUCCESS_ONLY, judge=leaning, health=health), pairs_of([1] * 30))

        assert recheck(dump(written)).outcome is Outcome.INVALID

    def test_never_confirms_adoption_in_a_trial_of_equals(self, report):
        same = setting(PLAN).control
        written = build(setting(PLAN, candidate=same), noisy_pairs(200))

        assert recheck(dump(written)).outcome is Outcome.INCONCLUSIVE


class TestChangedBytes:
    def test_are_refused_wherever_they_are(self, report):
        raw, rng = dump(report), random.Random(1)
        for place in [0, 1, len(raw) - 1, *rng.sample(range(len(raw)), 300)]:
            changed = bytearray(raw)
            changed[place] ^= 1 << rng.randrange(8)
            with pytest.raises(ReportRefused):
                recheck(bytes(changed))

    def test_are_refused_even_where_they_mean_the_same(self, report):
        with pytest.raises(ReportRefused, match="spelling"):
            recheck(json.dumps(report, indent=1))

    @pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b'{"body": NaN}', b"[" * 100_000])
    def test_are_refused_where_there_never_was_a_report(self, raw):
        with pytest.raises(ReportRefused):
            recheck(raw)

    @given(raw=st.binary(max_size=200) | st.text(max_size=200))
    def test_give_a_refusal_and_nothing_else(self, raw):
        with pytest.raises(ReportRefused):
            recheck(raw)


class TestForgedBody:
    """The forger recomputes the digest; the pairs still tell."""

    @pytest.mark.parametrize(
        ("path", "value", "reason"),
        [
            (("verdict", "outcome"), "reject_harm", "verdict"),
            (("verdict", "sentence"), "Adopt it.", "verdict"),
            (("verdict", "pairs"), 400, "verdict"),
            (("pairs", 3, "contrasts", "success"), 0.5, "verdict"),
            (("pairs", 3, "contrasts", "success"), 2, "shape"),
            (("pairs", 3, "contrasts"), {}, "shape"),
            (("pairs", 3, "n"), 5, "order"),
            (("pairs", 3, "first"), "nobody", "order"),
            (("pairs", 3, "input"), "f" * 32, "inputs"),
            (("seed",), "00" * 32, "seed"),
            (("seed",), "zz", "seed"),
            (("plan", "margin"), 0.5, "verdict"),
            (("plan", "alpha"), 2, "shape"),
            (("plan", "mode"), "whenever", "shape"),
            (("plan", "metrics"), ["beauty"], "shape"),
            (("missing", 0, "n"), 100_000, "shape"),
            (("missing",), [], "shape"),
            (("health", "judge_qualified"), "yes", "shape"),
            (("health", "replay_fidelity"), 0.1, "verdict"),
            (("estimates", "cost", "mean"), 0.4, "verdict"),
            (("e_values", "success/harm"), 0.0, "verdict"),
            (("curve",), [], "verdict"),
            (("type",), "something-else", "shape"),
            (("note",), "rides along", "shape"),
            (("plan", "note"), "rides along", "shape"),
            (("trial",), "x" * 5000, "shape"),
        ],
    )
    def test_is_refused(self, report, path, value, reason):
        forged = copy.deepcopy(report)
        spot = forged["body"]
        for step in path[:-1]:
            spot = spot[step]
        spot[path[-1]] = value
        forged["digest"] = digest_of(forged["body"])

        with pytest.raises(ReportRefused) as refused:
            recheck(dump(forged))

        assert refused.value.reason == reason

    def test_is_refused_without_any_of_its_fields(self, report):
        for name in report["body"]:
            forged = copy.deepcopy(report)
            del forged["body"][name]
            forged["digest"] = digest_of(forged["body"])
            with pytest.raises(ReportRefused):
                recheck(forged)

    def test_is_refused_when_a_pair_behind_the_verdict_rides_along(self):
        report = build(setting(SUCCESS_ONLY), pairs_of([1] * 20))
        longer = build(setting(replace(SUCCESS_ONLY, n_min=21)), pairs_of([1] * 21))
        forged = copy.deepcopy(longer)
        forged["body"]["plan"] = report["body"]["plan"]
        forged["digest"] = digest_of(forged["body"])

        with pytest.raises(ReportRefused, match="behind its verdict"):
            recheck(forged)

    @settings(max_examples=60)
    @given(data=st.data())
    def test_gives_a_refusal_and_nothing_else(self, report, data):
        """Any JSON value in any place: a result or ReportRefused, never another error."""
        forged = copy.deepcopy(report)
        spot, path = forged["body"], []
        while isinstance(spot, dict | list) and spot and (not path or data.draw(st.booleans())):
            keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
            path.append(data.draw(st.sampled_from(keys)))
            parent, spot = spot, spot[path[-1]]
        parent[path[-1]] = data.draw(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())
        )
        try:
            forged["digest"] = digest_of(forged["body"])
        except Exception:
            forged["digest"] = "sha256:" + "0" * 64

        try:
            recheck(forged)
        except ReportRefused:
            return


class TestSignatures:
    def test_stand_outside_of_the_digest_and_are_checked_by_the_caller(self, report):
        signed = {**report, "signatures": [{"keyid": "k1", "sig": base64.b64encode(b"good").decode()}]}

        def check(keyid, signature, message):
            return (keyid, signature, message) == ("k1", b"good", signed_bytes(report))

        assert recheck(dump(signed), check).signed_by == ("k1",)
        assert recheck(dump(signed)).unchecked == ("k1",)

    @pytest.mark.parametrize("signature", ["Z29vZB==", "Z29v ZA==", "", "!!!!", "Z29vZA"])
    def test_have_one_spelling(self, report, signature):
        with pytest.raises(ReportRefused, match="base64"):
            recheck(dump({**report, "signatures": [{"keyid": "k1", "sig": signature}]}))

    def test_that_do_not_fit_refuse_the_report(self, report):
        signed = {**report, "signatures": [{"keyid": "k1", "sig": "Z29vZA=="}]}

        with pytest.raises(ReportRefused, match="does not fit"):
            recheck(dump(signed), lambda *_: False)

    def test_that_bring_their_key_are_checked_with_it(self, report):
        signed = {**report, "signatures": [self.brought()]}

        found = recheck(dump(signed), verify=self.fits(report))

        assert (found.signed_by, found.unchecked) == ((self.brought()["keyid"],), ())
        assert recheck(dump(signed)).unchecked == (self.brought()["keyid"],)

    def test_under_another_key_than_they_name_refuse_the_report(self, report):
        signed = {**report, "signatures": [{**self.brought(), "keyid": "0" * 32}]}

        with pytest.raises(ReportRefused, match="is not the key"):
            recheck(dump(signed))

    def test_hold_for_every_byte_of_theirs(self, report):
        raw, rng = dump({**report, "signatures": [self.brought()]}), random.Random(2)
        first = raw.rindex(b'"signatures"')
        for place in range(first, len(raw)):
            changed = bytearray(raw)
            changed[place] ^= 1 << rng.randrange(7)
            with pytest.raises(ReportRefused):
                recheck(bytes(changed), verify=self.fits(report))

    @staticmethod
    def brought():
        key = bytes(range(32))
        return {
            "keyid": hashlib.sha256(key).hexdigest()[:32],
            "key": key.hex(),
            "sig": base64.b64encode(b"good").decode(),
        }

    @staticmethod
    def fits(report):
        return lambda key, data, signature: (key, data, signature) == (bytes(range(32)), signed_bytes(report), b"good")


class TestSchema:
    """The published schema says what the reader enforces."""

    def test_fits_every_report_that_is_written(self, report, validator):
        validator.validate(json.loads(dump(report)))
        validator.validate(json.loads(dump(build(setting(SUCCESS_ONLY), []))))
        validator.validate(json.loads(dump({**report, "signatures": [TestSignatures.brought()]})))

    @pytest.mark.parametrize("path", sorted((EXAMPLES / "valid").glob("*.json")))
    def test_fits_its_valid_examples_which_recheck(self, path, validator):
        validator.validate(json.loads(path.read_bytes()))

        assert recheck(path.read_bytes()).pairs > 0

    @pytest.mark.parametrize("path", sorted((EXAMPLES / "invalid").glob("*.json")))
    def test_refuses_its_invalid_examples_as_recheck_does(self, path, validator):
        assert not validator.is_valid(json.loads(path.read_bytes()))

        with pytest.raises(ReportRefused):
            recheck(json.loads(path.read_bytes()))

    def test_has_examples_of_both_kinds(self):
        for kind in ("valid", "invalid"):
            assert list((EXAMPLES / kind).glob("*.json"))
