"""
The few lines that every picture is made of.

    >>> str(element("rect", x=1, width=2.50, class_="bar"))
    '<rect x="1" width="2.5" class="bar"/>'

Attribute names lose a trailing underscore and turn inner ones into hyphens;
None leaves an attribute out; text is escaped.
"""

from __future__ import annotations

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

# Attributes of SVG that are written in camel case, which keyword arguments cannot express nicely.
CAMEL = {"view_box": "viewBox", "preserve_aspect_ratio": "preserveAspectRatio", "marker_end": "marker-end"}

Attribute = str | int | float | None


def element(name: str, *children: object, **attributes: Attribute) -> SafeString:
    """One element with its children; plain text among them is escaped."""
    written = "".join(f' {_name(key)}="{_value(value)}"' for key, value in attributes.items() if value is not None)
    inner = "".join(_escaped(child) for child in children)
    return mark_safe(f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>")  # noqa: S308


def picture(
    *children: object,
    width: float,
    height: float,
    title: str,
    description: str,
    linked: bool = False,
    **attributes: Attribute,
) -> SafeString:
    """
    The outer element.

    ``linked`` says that there are links inside: such a picture is a group, since
    assistive technology does not look into an image.
    """
    attributes.setdefault("view_box", f"0 0 {number(width)} {number(height)}")
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *children,
        role="group" if linked else "img",
        width=width,
        height=height,
        **attributes,
    )


def link(href: str, *children: object, label: str | None = None) -> SafeString:
    """A link inside a picture, with the name that is read out."""
    return element("a", *children, href=href, aria_label=label)


def number(value: float) -> str:
    """A coordinate with at most two decimals, without trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def shorten(text: str, characters: int) -> str:
    """The text on one line, cut with an ellipsis."""
    flat = " ".join(text.split())
    return flat if len(flat) <= characters else flat[: max(1, characters - 1)].rstrip() + "…"


def points(pairs: list[tuple[float, float]]) -> str:
    """Coordinates for ``points`` of a polyline."""
    return " ".join(f"{number(x)},{number(y)}" for x, y in pairs)


def _escaped(part: object) -> str:
    """Text escaped, markup of ours as it is."""
    return str(part) if isinstance(part, SafeString) else str(escape(str(part)))


def _name(key: str) -> str:
    return CAMEL.get(key) or key.rstrip("_").replace("_", "-")


def _value(value: str | int | float) -> str:
    return number(value) if isinstance(value, float) else _escaped(value)
