"""The pages of runs and trials in a real Chromium: alive, waiting for a person, and ended."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import resolve

from execution.models import Trial
from execution.services import starting
from execution.services.preferring import Judge
from execution.worker import run_until_idle
from registry.models import Pattern, User
from tests.browser import browser, browser_page, sideways, violations  # noqa: F401  fixtures
from tests.execution.trials import GOOD_ON, PLAIN, carry_out, good_on, make_trial, next_version
from tests.execution.web.test_pages import BROKEN, SCRIPT
from tests.registry.factories import make_user, make_version

# The pages that the tests below look at, by the names of their addresses; test_urls holds them to all there are.
RUN_PAGES = {"execution:run", "execution:effect", "home", "registry:health"}
TRIAL_PAGES = {
    "execution:trial", "execution:trial-adopt", "execution:trial-cancel", "execution:trial-pairs", "execution:trials",
    "execution:trials-stop", "execution:pattern-trials", "execution:try", "registry:leaderboards", "registry:counting",
}  # fmt: skip


def names_of(paths: list[str]) -> set[str]:
    return {resolve(path.split("?")[0]).view_name for path in paths}


pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class TestRunPages:
    def test_have_no_violation_in_light_and_dark_at_both_widths(self, live_server: Any, browser_page: Any) -> None:  # noqa: F811
        ada = make_user("ada")
        client = Client()
        client.force_login(ada)
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        browser_page.context.add_cookies([cookie])
        versions = [
            make_version(name, user=ada, script=text) for name, text in (("asking", SCRIPT), ("broken", BROKEN))
        ]
        runs = [starting.start(version=version, user=ada, now=version.published_at, seed=7) for version in versions]
        run_until_idle()
        found = []
        paths = [*(f"/runs/{run.pk}/" for run in runs), f"/runs/{runs[0].pk}/effects/1/", "/", "/health/"]
        assert names_of(paths) == RUN_PAGES
        for path in paths:
            browser_page.goto(live_server.url + path)
            for width, scheme in ((1280, "light"), (390, "dark")):
                browser_page.set_viewport_size({"width": width, "height": 900})
                browser_page.emulate_media(color_scheme=scheme)
                found += [f"{path} {width} {scheme}: {one}" for one in violations(browser_page)]
                found += [f"{path} {width}: {pixels} px too wide" for pixels in [sideways(browser_page)] if pixels]

        # The live stream belongs to the asynchronous part of the hub, which this server does not have.
        reported = [text for text in browser_page.reported if "404" not in text and "MIME type" not in text]
        assert not found, "\n".join(found)
        assert reported == []


class TestTrialPages:
    @pytest.fixture
    def family(self, settings: Any, live_server: Any, browser_page: Any) -> tuple[Any, Any, Any]:  # noqa: F811
        """Two versions of ada's pattern, and ada signed in."""
        settings.AGENT_BACKENDS = PLAIN
        ada = make_user("ada")
        client = Client()
        client.force_login(ada)
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        browser_page.context.add_cookies([cookie])
        old = good_on(4, owner=ada.own_owner, name="vote")
        new = next_version(old, GOOD_ON.format(share=9))
        Pattern.objects.filter(pk=old.pattern_id).update(newest=new)
        return old, new, ada

    def test_have_no_violation_in_light_and_dark_at_both_widths(
        self,
        live_server: Any,
        browser_page: Any,  # noqa: F811
        family: tuple[Any, Any, Any],
    ) -> None:
        old, new, ada = family
        done = carry_out(make_trial(old, new, 80, user=ada, backend="plain"))
        fresh = make_trial(old, old, 30, user=ada)
        # The examination of its judge is a trial with a page of its own.
        judged = make_trial(old, new, 30, user=ada, judge=Judge(criteria="More helpful"))
        exam = Trial.objects.get(follows=judged)
        type(ada).objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
        found = []
        paths = [
            f"/trials/{done.pk}/",
            f"/trials/{fresh.pk}/",
            f"/trials/{done.pk}/adopt/",
            f"/trials/{done.pk}/pairs/",
            f"/trials/{judged.pk}/",
            f"/trials/{exam.pk}/",
            f"/trials/{fresh.pk}/cancel/",
            "/trials/",
            "/trials/stop/",
            "/patterns/ada/vote/trials/",
            "/patterns/ada/vote/verify/",
            "/leaderboards/",
            "/help/counting/",
        ]
        assert names_of(paths) == TRIAL_PAGES
        for path in paths:
            browser_page.goto(live_server.url + path)
            for width, scheme in ((1280, "light"), (390, "dark")):
                browser_page.set_viewport_size({"width": width, "height": 900})
                browser_page.emulate_media(color_scheme=scheme)
                found += [f"{path} {width} {scheme}: {one}" for one in violations(browser_page)]
                found += [f"{path} {width}: {pixels} px too wide" for pixels in [sideways(browser_page)] if pixels]

        assert not found, "\n".join(found)
        assert browser_page.reported == []

    def test_a_page_follows_its_trial_to_the_verdict_and_then_asks_no_more(
        self,
        live_server: Any,
        browser_page: Any,  # noqa: F811
        family: tuple[Any, Any, Any],
    ) -> None:
        old, new, ada = family
        asked: list[str] = []
        browser_page.on("request", lambda request: asked.append(request.url) if "/parts/" in request.url else None)
        trial = make_trial(old, new, 80, user=ada, backend="plain")
        browser_page.goto(f"{live_server.url}/trials/{trial.pk}/")
        carry_out(trial)

        browser_page.wait_for_selector("#trial-head .pill.good", timeout=15_000)
        before = len(asked)
        browser_page.wait_for_timeout(2_600)
        browser_page.click("text=Adopt")
        browser_page.wait_for_selector("dialog[open] .replaces")

        assert before >= 1
        assert len(asked) == before
        assert violations(browser_page) == []


class TestWithoutScripts:
    @pytest.fixture
    def plain_page(self, browser: Any, live_server: Any, settings: Any) -> Any:  # noqa: F811
        """A tab that runs no scripts, in which ada is signed in."""
        settings.AGENT_BACKENDS = PLAIN
        context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 900})
        client = Client()
        client.force_login(make_user("ada"))
        context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
        yield context.new_page()
        context.close()

    def test_a_trial_is_started_watched_and_adopted(self, live_server: Any, plain_page: Any) -> None:
        ada = User.objects.get(username="ada")
        old = good_on(4, owner=ada.own_owner, name="vote")
        new = next_version(old, GOOD_ON.format(share=9))
        Pattern.objects.filter(pk=old.pattern_id).update(newest=new)
        page = plain_page
        page.goto(f"{live_server.url}/patterns/ada/vote/verify/")
        page.select_option("[name=candidate]", "1.1.0")
        page.select_option("[name=control]", "1.0.0")
        page.check("[name=source][value=lines]")
        page.fill("[name=lines]", "\n".join(f'{{"n": {n}}}' for n in range(80)))
        page.select_option("[name=backend]", "plain")
        page.click("button[name=estimate]")
        estimated = page.inner_text("#expected")

        page.click("button[name=start]")
        refreshes = page.locator("noscript meta[http-equiv=refresh]").count()
        carry_out(Trial.objects.latest("pk"))
        page.reload()
        page.click("text=Adopt")
        page.click("main button.primary")

        assert "80 at most" not in estimated and "pairs expected" in estimated
        assert refreshes == 1
        assert "stable of ada/vote is 1.1.0 now." in page.inner_text("main")

    def test_all_tabs_of_a_pattern_are_in_sight(self, live_server: Any, plain_page: Any) -> None:
        make_version("seen", user=User.objects.get(username="ada"))
        plain_page.goto(f"{live_server.url}/patterns/ada/seen/provenance/")

        box = plain_page.locator(".tabs [aria-current]").bounding_box()

        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390


class TestTabs:
    def test_the_current_one_is_in_sight_on_a_telephone(self, live_server: Any, browser_page: Any) -> None:  # noqa: F811
        make_version("seen", user=make_user("ada"))
        browser_page.set_viewport_size({"width": 390, "height": 900})
        browser_page.goto(f"{live_server.url}/patterns/ada/seen/provenance/")

        box = browser_page.locator(".tabs [aria-current]").bounding_box()

        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
