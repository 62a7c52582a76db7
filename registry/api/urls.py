"""The addresses of the registry's API, below ``/api/v1/``."""

from __future__ import annotations

from django.urls import path, register_converter

from registry.api.views import account, feeds, learning, patterns, publish, social, trends, versions

app_name = "registry-api"


class Number:
    """A row's number that every database can hold."""

    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        """The number."""
        return int(value)

    def to_url(self, value: int) -> str:
        """Its digits."""
        return str(value)


register_converter(Number, "number")

ONE = "patterns/<str:owner>/<str:name>"
VERSION = f"{ONE}/versions/<str:version>"

urlpatterns = [
    path("me", account.MeView.as_view(), name="me"),
    path("patterns", publish.PatternsView.as_view(), name="patterns"),
    path("search", patterns.SearchView.as_view(), name="search"),
    path("facets", patterns.FacetsView.as_view(), name="facets"),
    path("recommend", patterns.RecommendView.as_view(), name="recommend"),
    path("emerging", trends.EmergingView.as_view(), name="emerging"),
    path("trending", trends.TrendingView.as_view(), name="trending"),
    path("check", publish.CheckView.as_view(), name="check"),
    path("bulk", versions.BulkView.as_view(), name="bulk"),
    path("digests/<str:digest>", versions.DigestView.as_view(), name="digest"),
    path("documents/<str:digest>", versions.DocumentView.as_view(), name="document"),
    path(ONE, patterns.PatternView.as_view(), name="pattern"),
    path(f"{ONE}/versions", versions.VersionsView.as_view(), name="versions"),
    path(VERSION, versions.VersionView.as_view(), name="version"),
    path(f"{VERSION}/source", versions.SourceView.as_view(), name="source"),
    path(f"{VERSION}/yank", versions.YankView.as_view(), name="yank"),
    path(f"{VERSION}/diff/<str:other>", versions.DiffView.as_view(), name="diff"),
    path(f"{VERSION}/lineage", social.VersionLineageView.as_view(), name="version-lineage"),
    path(f"{ONE}/lineage", social.LineageView.as_view(), name="lineage"),
    path(f"{ONE}/fork", social.ForkView.as_view(), name="fork"),
    path(f"{ONE}/adapt", social.AdaptView.as_view(), name="adapt"),
    path(f"{ONE}/merge", social.MergeView.as_view(), name="merge"),
    path(f"{ONE}/export", learning.ExportView.as_view(), name="export"),
    path(f"{ONE}/channels", social.ChannelsView.as_view(), name="channels"),
    path(f"{ONE}/channels/<str:channel>", social.ChannelView.as_view(), name="channel"),
    path(f"{ONE}/ratings", social.RatingsView.as_view(), name="ratings"),
    path(f"{ONE}/comments", social.CommentsView.as_view(), name="comments"),
    path(f"{ONE}/report", social.ReportView.as_view(), name="report"),
    path(f"{ONE}/similar", patterns.SimilarView.as_view(), name="similar"),
    path(f"{ONE}/analytics", learning.AnalyticsView.as_view(), name="analytics"),
    path(f"{ONE}/analytics.csv", learning.AnalyticsCsvView.as_view(), name="analytics-csv"),
    path(f"{ONE}/decisions", learning.DecisionsView.as_view(), name="decisions"),
    path(f"{ONE}/proposals", learning.ProposalsView.as_view(), name="proposals"),
    path(f"{ONE}/badge.svg", patterns.BadgeView.as_view(), name="badge"),
    path(f"{ONE}/feed.atom", feeds.PatternFeed.as_view(), name="pattern-feed"),
    path("feeds/new.atom", feeds.NewFeed.as_view(), name="feed-new"),
    path("feeds/emerging.atom", feeds.EmergingFeed.as_view(), name="feed-emerging"),
    path("feeds/tags/<str:tag>.atom", feeds.TagFeed.as_view(), name="feed-tag"),
    path("owners", account.OwnersView.as_view(), name="owners"),
    path("owners/<str:owner>", account.OwnerView.as_view(), name="owner"),
    path("owners/<str:owner>/members/<str:username>", account.MemberView.as_view(), name="member"),
    path("owners/<str:owner>/webhooks", account.WebhooksView.as_view(), name="webhooks"),
    path("webhooks/<number:number>", account.WebhookView.as_view(), name="webhook"),
    path("webhooks/<number:number>/approve", account.WebhookApproveView.as_view(), name="webhook-approve"),
    path("webhooks/<number:number>/deliveries", account.DeliveriesView.as_view(), name="deliveries"),
    path("deliveries/<number:number>/replay", account.ReplayView.as_view(), name="replay"),
    path("tokens", account.TokensView.as_view(), name="tokens"),
    path("tokens/<number:number>", account.TokenView.as_view(), name="token"),
    path("drafts", account.DraftsView.as_view(), name="drafts"),
    path("drafts/<number:number>", account.DraftView.as_view(), name="draft"),
    path("drafts/<number:number>/publish", account.DraftPublishView.as_view(), name="draft-publish"),
    path("audit", account.AuditView.as_view(), name="audit"),
    path("audit/verify", account.AuditChainView.as_view(), name="audit-verify"),
    path("reports", social.ReportsView.as_view(), name="reports"),
    path("reports/<number:number>/resolve", social.ResolveView.as_view(), name="report-resolve"),
]
