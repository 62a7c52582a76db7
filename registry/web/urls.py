"""Addresses of the registry's pages: ``registry:…``, and the few plain names that Django itself knows."""

from __future__ import annotations

from django.contrib.auth import views as auth_views
from django.urls import URLPattern, URLResolver, include, path

from registry.web.pages import page
from registry.web.views import (
    account,
    administration,
    analytics,
    browse,
    changes,
    compare,
    design,
    feedback,
    guides,
    pattern,
    publishing,
)

of_pattern: list[URLPattern | URLResolver] = [
    path("", page(pattern.overview), name="pattern"),
    path("source/", page(pattern.source), name="source"),
    path("versions/", page(pattern.versions), name="versions"),
    path("versions/<str:version>/", page(pattern.version_page), name="version"),
    path("versions/<str:version>/raw", page(pattern.raw), name="raw"),
    path("versions/<str:version>/promote/", page(changes.promote), name="promote"),
    path("versions/<str:version>/yank/", page(changes.yank), name="yank"),
    path("channels/<str:channel>/protect/", page(changes.protect), name="protect"),
    path("lineage/", page(pattern.lineage), name="lineage"),
    path("analytics/", page(analytics.analytics), name="analytics"),
    path("analytics.csv", page(analytics.analytics_csv), name="analytics-csv"),
    path("discussion/", page(pattern.discussion), name="discussion"),
    path("provenance/", page(pattern.provenance), name="provenance"),
    path("export/", page(publishing.export), name="export"),
    path("compare/", page(compare.compare), name="compare"),
    path("edit/", page(changes.edit), name="edit"),
    path("fork/", page(publishing.fork), name="fork"),
    path("merge/", page(publishing.merge), name="merge"),
    path("rate/", page(feedback.rate), name="rate"),
    path("comment/", page(feedback.comment), name="comment"),
    path("report/", page(feedback.report), name="report"),
]

pages: list[URLPattern | URLResolver] = [
    path("patterns/", page(browse.patterns), name="patterns"),
    path("patterns/<str:owner>/<str:name>/", include(of_pattern)),
    path("owners/<str:name>/", page(browse.owner_page), name="owner"),
    path("recommend/", page(browse.recommend), name="recommend"),
    path("leaderboards/", page(browse.leaderboards), name="leaderboards"),
    path("publish/", page(publishing.publish), name="publish"),
    path("publish/check/", page(publishing.check), name="publish-check"),
    path("drafts/<int:draft_id>/", page(publishing.draft), name="draft"),
    path("drafts/<int:draft_id>/delete/", page(publishing.delete_draft), name="delete-draft"),
    path("settings/tokens/", page(account.tokens), name="tokens"),
    path("settings/tokens/<int:token_id>/revoke/", page(account.revoke_token), name="revoke-token"),
    path("settings/webhooks/", page(administration.webhooks), name="webhooks"),
    path("settings/webhooks/<int:webhook_id>/remove/", page(administration.remove_webhook), name="remove-webhook"),
    path("settings/webhooks/<int:webhook_id>/approve/", page(administration.approve_webhook), name="approve-webhook"),
    path("settings/deliveries/<int:delivery_id>/replay/", page(administration.replay_delivery), name="replay"),
    path("audit/", page(administration.audit), name="audit"),
    path("moderation/", page(administration.moderation), name="moderation"),
    path("moderation/<int:report_id>/", page(administration.resolve_report), name="resolve-report"),
    path("health/", page(administration.health), name="health"),
    path("help/language/", page(guides.language), name="language"),
    path("help/counting/", page(guides.counting), name="counting"),
    path("theme/", account.theme, name="theme"),
    path("design/", design.gallery, name="design"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", page(browse.home), name="home"),
    path(
        "accounts/login/",
        auth_views.LoginView.as_view(template_name="registry/sign_in.html", redirect_authenticated_user=True),
        name="login",
    ),
    path("accounts/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("accounts/new/", page(account.sign_up), name="sign-up"),
    path("", include((pages, "registry"))),
]
