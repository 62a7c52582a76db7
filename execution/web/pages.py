"""What the pages of runs and trials share: refusals become messages, and what one may not see is not there."""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from execution.errors import RunRefused
from execution.models import Run
from registry.errors import NotAllowed, NotThere
from registry.web.pages import View, only_takes_a_form
from registry.web.pages import page as registry_page

# Argument of a view → the page that a refused change leads back to.
SUBJECTS = {"run_id": "execution:run", "trial_id": "execution:trial"}


def page(view: View) -> View:
    """Answer our errors as pages; a refused change leads back to the run or trial and says why."""

    @registry_page
    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        subject = next(((name, kwargs[key]) for key, name in SUBJECTS.items() if key in kwargs), None)
        try:
            answer = view(request, *args, **kwargs)
            if answer.status_code == 405 and request.method == "GET" and subject is not None:
                # A button was pressed after the session had ended, and signing in led here.
                return only_takes_a_form(request, back=reverse(subject[0], args=[subject[1]]))
            return answer
        except RunRefused as error:
            if request.method == "POST" and subject is not None:
                messages.error(request, f"{str(error)[:1].upper()}{str(error)[1:]}.")
                return redirect(*subject)
            return render(request, "registry/refused.html", {"reason": str(error)}, status=error.status)

    return answered


def find_run(request: HttpRequest, run_id: int, *, control: bool = False) -> Run:
    """
    The run with its version, pattern and owner.

    Raises:
        NotThere: none of that number that this person may see.
        NotAllowed: they may only watch it.
    """
    if run_id >= 2**63:
        raise NotThere("run")
    runs = Run.objects.visible_to(request.user).select_related("version__pattern__owner", "started_by")
    found = runs.filter(pk=run_id).first()
    if found is None:
        raise NotThere(f"run {run_id}")
    if control and not found.may_control(request.user):
        raise NotAllowed("only the person who started a run may steer it")
    return found
