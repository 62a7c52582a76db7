"""The watch after a promotion."""

import math
import random

from execution.shadow.detector import HarmDetector
from execution.shadow.eprocess import FRACTIONS, LOG_PRIOR


class TestHarmDetector:
    def test_is_the_recursion_of_the_specification(self):
        contrasts, detector = [1.0, -1.0, 0.0, -1.0, -1.0], HarmDetector()
        sums = [0.0] * 14
        for contrast in contrasts:
            detector = detector.observe(contrast)
            sums = [(r + 1) * (1 - c * contrast) for r, c in zip(sums, FRACTIONS, strict=True)]

        expected = sum(math.exp(p) * r for p, r in zip(LOG_PRIOR, sums, strict=True))

        assert math.isclose(detector.statistic, expected, rel_tol=1e-12)
        assert detector.pairs == 5

    def test_alarms_soon_after_a_turn_for_the_worse(self):
        rng, detector = random.Random(3), HarmDetector()
        for _ in range(200):
            detector = detector.observe(rng.choices((1.0, -1.0, 0.0), (0.25, 0.1, 0.65))[0])
        assert not detector.alarmed

        delay = 0
        while not detector.alarmed:
            detector = detector.observe(rng.choices((1.0, -1.0, 0.0), (0.05, 0.45, 0.5))[0])
            delay += 1

        assert delay < 60

    def test_rarely_alarms_when_nothing_changes(self):
        """The mean time to a false alarm is at least 1000 pairs, so 100 pairs alarm in at most a tenth."""
        rng, alarms = random.Random(4), 0
        for _ in range(200):
            detector = HarmDetector()
            for _ in range(100):
                detector = detector.observe(rng.choices((1.0, -1.0, 0.0), (0.2, 0.2, 0.6))[0])
                if detector.alarmed:
                    alarms += 1
                    break

        assert alarms <= 20

    def test_stays_finite_however_long_it_is_ignored(self):
        detector = HarmDetector()
        for _ in range(3000):
            detector = detector.observe(-1.0)

        assert detector.alarmed and math.isfinite(detector.statistic)

    def test_forgives_what_the_plan_tolerates(self):
        strict, lenient = HarmDetector(), HarmDetector(tolerance=0.1)
        for n in range(400):
            contrast = -1.0 if n % 10 == 0 else 0.0
            strict, lenient = strict.observe(contrast), lenient.observe(contrast)

        assert strict.statistic > 10 * lenient.statistic
