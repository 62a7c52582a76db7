"""
The incomplete beta and gamma functions and their inverses, in plain ``math``.

Accurate to about twelve digits for the sizes that counts of runs have (shape
parameters up to some millions); the tests compare them with SciPy.

Source: Press et al., Numerical Recipes, 3rd ed., sections 6.2 and 6.4 (continued
fractions by Lentz's method); DLMF 8.17.22 and 8.9.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_TINY = 1e-300
_EPSILON = 1e-16
_MOST_TERMS = 100_000
_MOST_STEPS = 200


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(X ≤ x) for X ~ Beta(a, b), the regularised incomplete beta function I_x(a, b); a, b > 0."""
    if a <= 0.0 or b <= 0.0:
        raise ValueError(f"Beta({a}, {b}) needs shapes above 0")
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b))
    # The fraction converges fast only left of the mean; right of it, use the mirror image.
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(x, a, b) / a
    return 1.0 - front * _beta_fraction(1.0 - x, b, a) / b


def gamma_cdf(x: float, shape: float) -> float:
    """P(X ≤ x) for X ~ Gamma(shape, rate 1), the regularised incomplete gamma function; shape > 0."""
    if shape <= 0.0:
        raise ValueError(f"Gamma({shape}) needs a shape above 0")
    if x <= 0.0:
        return 0.0
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1.0:
        return front * _gamma_series(x, shape)
    return 1.0 - front * _gamma_fraction(x, shape)


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x with P(X ≤ x) = p for X ~ Beta(a, b); p in [0, 1]."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{p} is not a probability")
    if p in (0.0, 1.0):
        return p
    log_beta = _log_beta(a, b)

    # Solved for t = logit(x): quantiles next to 0 and 1 keep their relative accuracy.
    def cdf(t: float) -> float:
        return beta_cdf(_logistic(t), a, b)

    def slope(t: float) -> float:
        return math.exp(-a * _softplus(-t) - b * _softplus(t) - log_beta)

    return _logistic(_solve(cdf, slope, p, start=math.log(a) - math.log(b), low=-700.0, high=700.0))


def gamma_quantile(p: float, shape: float, rate: float = 1.0) -> float:
    """The x with P(X ≤ x) = p for X ~ Gamma(shape, rate); p in [0, 1)."""
    if not 0.0 <= p < 1.0 or rate <= 0.0:
        raise ValueError(f"no {p} quantile of Gamma({shape}, {rate})")
    if p == 0.0:
        return 0.0
    log_gamma = math.lgamma(shape)

    def cdf(t: float) -> float:
        return gamma_cdf(math.exp(t), shape)

    def slope(t: float) -> float:
        return math.exp(shape * t - math.exp(t) - log_gamma)

    return math.exp(_solve(cdf, slope, p, start=math.log(shape), low=-700.0, high=700.0)) / rate


def log_beta_binomial(k: int, n: int, a: float, b: float) -> float:
    """ln P(k successes in n) when the rate itself is drawn from Beta(a, b)."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no count of successes")
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways + _log_beta(k + a, n - k + b) - _log_beta(a, b)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _logistic(t: float) -> float:
    return 1.0 / (1.0 + math.exp(-t)) if t >= 0.0 else math.exp(t) / (1.0 + math.exp(t))


def _softplus(t: float) -> float:
    """ln(1 + e^t) without overflow."""
    return max(t, 0.0) + math.log1p(math.exp(-abs(t)))


def _solve(
    cdf: Callable[[float], float],
    slope: Callable[[float], float],
    p: float,
    *,
    start: float,
    low: float,
    high: float,
) -> float:
    """Newton's method, kept inside a bracket that every step narrows."""
    t = start
    for _ in range(_MOST_STEPS):
        error = cdf(t) - p
        low, high = (low, t) if error > 0.0 else (t, high)
        steep = slope(t)
        after = t - error / steep if steep > 0.0 else low
        if not low < after < high:
            after = (low + high) / 2.0
        if abs(after - t) <= 1e-14 * max(1.0, abs(t)):
            return after
        t = after
    return t


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by modified Lentz."""
    d = _inverse(1.0 - (a + b) * x / (a + 1.0))
    c, value = 1.0, d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = _inverse(1.0 + even * d)
        c = _nonzero(1.0 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = _inverse(1.0 + odd * d)
        c = _nonzero(1.0 + odd / c)
        value *= d * c
        if abs(d * c - 1.0) < _EPSILON * 4:
            break
    return value


def _gamma_series(x: float, shape: float) -> float:
    """Σ x^n / (shape (shape+1) … (shape+n)), which converges left of the mean."""
    term = total = 1.0 / shape
    for n in range(1, _MOST_TERMS):
        term *= x / (shape + n)
        total += term
        if term < total * _EPSILON:
            break
    return total


def _gamma_fraction(x: float, shape: float) -> float:
    """The continued fraction of the upper incomplete gamma function (DLMF 8.9.2), by modified Lentz."""
    b = x + 1.0 - shape
    c, d = 1.0 / _TINY, _inverse(b)
    value = d
    for n in range(1, _MOST_TERMS):
        factor = -n * (n - shape)
        b += 2.0
        d = _inverse(factor * d + b)
        c = _nonzero(b + factor / c)
        value *= d * c
        if abs(d * c - 1.0) < _EPSILON * 4:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _inverse(value: float) -> float:
    return 1.0 / _nonzero(value)
