"""
The evidence bar: a rate with its interval as a whisker.

The bar says how often it went well, the whisker how sure that is. Measured is
solid, attested lighter, claimed an outline, simulated a dashed outline: the
four look different without their colour too.
"""

from __future__ import annotations

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from registry.web.charts.svg import element, picture

WIDTH, HEIGHT = 136.0, 14.0


def evidence_bar(*, rate: float, low: float, high: float, kind: str = "measured") -> SafeString:
    """
    One bar.

    Args:
        rate, low, high: shares from 0 to 1; the interval includes the rate.
        kind: measured, attested, claimed or simulated.
    """
    rate, low, high = (min(1.0, max(0.0, value)) * WIDTH for value in (rate, low, high))
    middle = HEIGHT / 2
    whisker = f"M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"
    return picture(
        element("rect", class_="track", x=0, y=middle - 1, width=WIDTH, height=2),
        element("rect", class_=f"bar {kind}", x=0, y=2, width=rate, height=HEIGHT - 4),
        element("path", class_="whisker", d=whisker, vector_effect="non-scaling-stroke"),
        width=WIDTH,
        height=HEIGHT,
        title=_("Success rate %(rate)d %%") % {"rate": round(100 * rate / WIDTH)},
        description=_("95 %% interval from %(low)d to %(high)d %%")
        % {"low": round(100 * low / WIDTH), "high": round(100 * high / WIDTH)},
        class_="evidence-bar",
        preserve_aspect_ratio="none",
    )
