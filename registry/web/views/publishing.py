"""Publishing: the editor with its live check, publishing itself, drafts, forks."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from registry.errors import (
    Conflict,
    InvalidDocument,
    InvalidRequest,
    MergeConflicts,
    NotThere,
    RegistryError,
    VersionTaken,
)
from registry.models import Draft, Owner
from registry.services import deriving, drafts, finding, learning, previewing, publishing
from registry.web.facts import as_text
from registry.web.forms.publishing import ExportForm, ForkForm, PublishForm
from registry.web.pages import blame, find_pattern, find_version, person
from registry.web.problems import shown

EXAMPLE = """type: orchestration_pattern
name: ask-three-and-decide
version: 1.0.0
pattern:
  description: Three agents answer; the answer that most of them give wins.
dsl: |
  ## Ask three and decide
  STATE question = "Is 2027 a leap year?"
  STATE experts = ["expert_1", "expert_2", "expert_3"]
  STATE answers = []

  PARALLEL:
    FOREACH expert IN experts:
      EVENT completion:async {agent_id: expert, prompt: "Answer yes or no: {{question}}"} AS reply
      APPEND answers reply.output

  RETURN VOTE(answers)
"""


@login_required
def publish(request: HttpRequest) -> HttpResponse:
    """The editor; a POST publishes, or says everything that stands in the way."""
    if request.method != "POST":
        return _editor(request, PublishForm(user=person(request), initial=_initial(request)))
    form = PublishForm(request.POST, request.FILES, user=person(request))
    if not form.is_valid():
        return _editor(request, form, status=422)
    data = form.cleaned_data
    if "save_draft" in request.POST:
        return _save_draft(request, data)
    try:
        published = publishing.publish(
            owner=data["owner"],
            user=person(request),
            source=data["bytes"],
            via="web",
            now=timezone.now(),
            version=data["version"],
            name=data["name"],
            visibility=data["visibility"],
            file_name=data["filename"],
        )
    except InvalidDocument as error:
        return _editor(request, form, problems=shown(error.problems, _text(data["bytes"])), status=422)
    except VersionTaken as error:
        form.add_error("version", error.message)
        return _editor(request, form, status=409)
    except RegistryError as error:
        blame(form, error)
        return _editor(request, form, status=error.status)
    return _published(request, published)


def _initial(request: HttpRequest) -> dict[str, Any]:
    """What the editor begins with: a draft, a version to build on, an example, or nothing."""
    if "draft" in request.GET and request.GET["draft"].isdecimal():
        draft = drafts.find(draft_id=int(request.GET["draft"]), user=person(request))
        return {"source": draft.text, "owner": draft.owner.name, "filename": draft.file_name}
    if "from" in request.GET:
        version = finding.version(request.GET["from"][:200], request.user)
        owner = version.pattern.owner
        mine = owner.name if owner.can_publish(request.user) else person(request).get_username()
        return {"source": version.text, "owner": mine, "name": "", "visibility": version.pattern.visibility}
    return {"source": EXAMPLE} if "example" in request.GET else {}


def _editor(request: HttpRequest, form: PublishForm, *, problems: Any = None, status: int = 200) -> HttpResponse:
    context = {"form": form, "problems": problems, "refused": problems is not None}
    return render(request, "registry/publish.html", context, status=status)


def _published(request: HttpRequest, published: publishing.Published) -> HttpResponse:
    made = published.versions
    if not published.created:
        messages.info(request, _("This very text was published before; here it is."))
    elif len(made) == 1:
        messages.success(request, _("%(version)s is published.") % {"version": made[0].version})
    if len(made) == 1:
        return redirect(made[0].version.get_absolute_url())
    return render(request, "registry/published.html", {"published": published})


def _save_draft(request: HttpRequest, data: dict[str, Any]) -> HttpResponse:
    draft = drafts.save(
        user=person(request),
        owner=data["owner"],
        source=data["bytes"],
        now=timezone.now(),
        title=data["name"] or data["filename"],
        file_name=data["filename"],
    )
    messages.success(request, _("Kept as a draft; only you see it."))
    return redirect(f"{reverse('registry:publish')}?draft={draft.pk}")


@login_required
@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """The check while typing: every problem, and what publishing would make of the text."""
    source = request.POST.get("source", "").replace("\r\n", "\n")
    if not source.strip():
        return render(request, "registry/publish_check.html", {"is_empty": True})
    owner = Owner.objects.publishable_by(request.user).filter(name=request.POST.get("owner", "")).first()
    preview = previewing.preview(
        owner=owner,
        user=person(request),
        source=source.encode(),
        version=request.POST.get("version", "").strip(),
        name=request.POST.get("name", "").strip(),
        file_name=request.POST.get("filename", ""),
    )
    context = {"preview": preview, "problems": shown(preview.reading.problems, source)}
    return render(request, "registry/publish_check.html", context)


@login_required
@require_POST
def delete_draft(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Throw a draft away."""
    drafts.delete(draft=drafts.find(draft_id=draft_id, user=person(request)), user=person(request))
    messages.success(request, _("The draft is gone."))
    return redirect("registry:owner", person(request).get_username())


@login_required
def draft(request: HttpRequest, draft_id: int) -> HttpResponse:
    """A draft's address: the editor with it."""
    if not Draft.objects.filter(pk=draft_id, user=person(request)).exists():
        raise NotThere(f"draft {draft_id}")
    return redirect(f"{reverse('registry:publish')}?draft={draft_id}")


@login_required
def fork(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Copy a version under another name, with its lineage; its statistics start at zero."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    form = ForkForm(request.POST or None, user=person(request), initial={"name": pattern.name})
    if request.method == "POST" and form.is_valid():
        try:
            made = deriving.fork(
                version=version, user=person(request), now=timezone.now(), via="web", **form.cleaned_data
            )
        except InvalidDocument as error:
            form.add_error(None, str(error))
        except RegistryError as error:
            blame(form, error)
        else:
            messages.success(request, _("%(fork)s is yours now. Change it and publish a new version.") % {"fork": made})
            return redirect(made.get_absolute_url())
    context = {"form": form, "pattern": pattern, "version": version}
    return render(request, "registry/fork.html", context, status=422 if form.is_bound and form.errors else 200)


@login_required
def merge(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Take over what another version changed since the common ancestor; conflicts are decided on the page."""
    pattern = find_pattern(request, owner, name)
    ours = find_version(request, pattern, "latest")
    theirs_name = (request.POST.get("theirs") or request.GET.get("theirs") or "").strip()[:200]
    context: dict[str, Any] = {"pattern": pattern, "ours": ours, "theirs_name": theirs_name}
    if not theirs_name:
        return render(request, "registry/merge.html", context)
    try:
        theirs = finding.version(theirs_name if "/" in theirs_name else f"{pattern}@{theirs_name}", request.user)
    except NotThere as error:
        return render(request, "registry/merge.html", {**context, "refusal": str(error)}, status=404)
    context["theirs"] = theirs
    if request.method != "POST":
        return render(request, "registry/merge.html", context)
    choices = {
        key.removeprefix("choice:"): str(value) for key, value in request.POST.items() if key.startswith("choice:")
    }
    try:
        published = deriving.merge(
            ours=ours, theirs=theirs, user=person(request), now=timezone.now(), via="web", choices=choices
        )
    except MergeConflicts as error:
        context |= {"conflicts": [_shown_conflict(conflict) for conflict in error.conflicts], "choices": choices}
        return render(request, "registry/merge.html", context, status=409)
    except InvalidDocument as error:
        return render(request, "registry/merge.html", {**context, "problems": error.problems}, status=422)
    except (InvalidRequest, Conflict) as error:
        return render(request, "registry/merge.html", {**context, "refusal": str(error)}, status=error.status)
    return _published(request, published)


@login_required
def export(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Publish what runs and decisions taught as a new version; GET says what that would be."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    form = ExportForm(request.POST or None, user=person(request))
    if request.method == "POST" and form.is_valid():
        try:
            published = learning.export_pattern(
                version=version,
                user=person(request),
                now=timezone.now(),
                owner=form.cleaned_data["owner"],
                name=form.cleaned_data["name"] or pattern.name,
                learnings=form.learnings(),
            )
        except InvalidDocument as error:
            form.add_error(None, str(error))
        except RegistryError as error:
            blame(form, error)
        else:
            return _published(request, published)
    context = {
        "form": form,
        "pattern": pattern,
        "version": version,
        "rules": learning.proposed_rules(version),
    }
    return render(request, "registry/export.html", context, status=422 if form.is_bound and form.errors else 200)


def _shown_conflict(conflict: dict[str, Any]) -> dict[str, Any]:
    """A conflict with its three values as text."""
    sides = {side: as_text(conflict.get(side)) for side in ("base", "ours", "theirs")}
    return {"pointer": conflict["pointer"], "line": conflict.get("line", 0), **sides}


def _text(source: bytes) -> str:
    return source.decode("utf-8", errors="replace")
