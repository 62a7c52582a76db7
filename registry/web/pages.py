"""
What every page view shares: our errors become pages, subjects are found or are 404.

``page`` wraps each view in ``urls.py``. What a person may not see is 404, what
they may see but not do is 403 with the reason, a conflict is 409 with what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from registry.errors import Conflict, InvalidRequest, NotAllowed, NotThere, RegistryError
from registry.models import Pattern, PatternVersion, User
from registry.web import panels

View = Callable[..., HttpResponseBase]


def page(view: View) -> View:
    """Answer our errors as pages; a view that raises anything else has a bug."""

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            answer = view(request, *args, **kwargs)
            is_bare = answer.status_code == 405 and request.method == "GET" and not getattr(answer, "content", b"")
            return only_takes_a_form(request) if is_bare else answer
        except NotThere as error:
            raise Http404(str(error)) from error
        except NotAllowed as error:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            return render(request, "403.html", {"reason": str(error)}, status=403)
        except RegistryError as error:
            return render(request, "registry/refused.html", {"reason": str(error)}, status=error.status)

    return answered


def only_takes_a_form(request: HttpRequest, back: str = "") -> HttpResponse:
    """The answer to looking at an address that a button sends to, as happens after signing in again; ``back`` has the button."""
    reason = _("a button sends to this address, and nothing is to be seen here; press it again on its page")
    return render(request, "registry/refused.html", {"reason": reason, "back": back}, status=405)


def person(request: HttpRequest) -> User:
    """Who is signed in; raises NotAllowed for nobody (``page`` then leads to the sign-in page)."""
    if not isinstance(request.user, User):
        raise NotAllowed("sign in first")
    return request.user


def find_pattern(request: HttpRequest, owner: str, name: str) -> Pattern:
    """The pattern, or NotThere when there is none that this person may see."""
    found = Pattern.objects.named(owner, name).visible_to(request.user).select_related("owner", "shown", "newest")
    pattern = found.first()
    if pattern is None:
        raise NotThere(f"pattern {owner}/{name}")
    return pattern


def find_version(request: HttpRequest, pattern: Pattern, wanted: str | None = None) -> PatternVersion:
    """The version that ``wanted``, else ``?version=``, names: a number, a channel, a digest; else the one shown."""
    named = request.GET.get("version", "") if wanted is None else wanted
    version = pattern.version_named(named)
    if version is None and not named:
        version = pattern.newest
    if version is None:
        raise NotThere(f"version {named or 'of'} {pattern}")
    version.pattern = pattern
    return version


def pattern_context(request: HttpRequest, pattern: Pattern, version: PatternVersion, tab: str) -> dict[str, Any]:
    """What the frame of a pattern's pages shows: name, version, tabs and actions."""
    place = [pattern.owner.name, pattern.name]
    pinned = f"?version={version.version}" if version.pk != pattern.shown_id else ""
    tabs = [
        {
            "label": item.label,
            "href": reverse(item.url_name, args=place) + pinned,
            "is_current": item.key == tab,
            "count": item.count(pattern) if item.count else None,
        }
        for item in panels.tabs()
    ]
    actions = [
        {
            "label": item.label,
            "href": f"{reverse(item.url_name, args=place)}?version={version.version}",
            "is_primary": item.is_primary,
        }
        for item in panels.actions(request, version)
    ]
    return {
        "pattern": pattern,
        "version": version,
        "tabs": tabs,
        "pattern_actions": actions,
        "pinned": pinned,
        "can_publish": pattern.owner.can_publish(request.user),
    }


def blame(form: BaseForm, error: RegistryError) -> None:
    """Show a service's refusal where it belongs in the form."""
    if isinstance(error, InvalidRequest) and error.field in form.fields:
        form.add_error(error.field, error.message)
    elif isinstance(error, InvalidRequest | Conflict):
        form.add_error(None, str(error))
    else:
        raise error


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of a page; a page restored from history is asked for whole."""
    return bool(getattr(request, "htmx", False)) and not request.htmx.history_restore_request  # type: ignore[attr-defined]


def dialog(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A confirm dialog: the fragment for htmx, else the same fragment as a page of its own."""
    context = {**context, "dialog_template": template}
    whole = "components/dialog_fragment.html" if wants_fragment(request) else "registry/dialog_page.html"
    return render(request, whole, context, status=status)


def cursor_page(rows: Iterable[Any], size: int) -> tuple[list[Any], bool]:
    """The first ``size`` rows of ``size + 1`` fetched, and whether there are more."""
    fetched = list(rows)
    return fetched[:size], len(fetched) > size
