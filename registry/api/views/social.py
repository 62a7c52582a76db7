"""Channels, lineage, forks, ratings, comments, reports."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import render, shapes
from registry.api.base import HubView, person
from registry.api.bodies import read_body
from registry.api.paging import page
from registry.api.views.publish import owner_for
from registry.errors import InvalidRequest, NotThere
from registry.models import ChannelMove, Comment, Pattern, PatternVersion, Rating, Report, Scope
from registry.services import channels, deriving, feedback, finding, learning, lineage


def version_of(pattern: Pattern, wanted: str) -> PatternVersion:
    """The version or channel that a body names, stable by default; InvalidRequest when there is none."""
    found = pattern.version_named(wanted)
    if found is None:
        raise InvalidRequest("version", f"{pattern} has no version {wanted}"[:200])
    return found


class ChannelsView(HubView):
    """The channels of a pattern."""

    @extend_schema(operation_id="channels_list", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, owner: str, name: str) -> Response:
        """All of them, by name."""
        pattern = finding.pattern(owner, name, request.user)
        rows = pattern.channels.select_related("version").order_by("name")
        return Response({"results": [render.channel(row) for row in rows]})


class ChannelView(HubView):
    """One channel."""

    @extend_schema(operation_id="channel_read", responses={200: OpenApiTypes.OBJECT, 404: shapes.ProblemDetails})
    def get(self, request: Request, owner: str, name: str, channel: str) -> Response:
        """Where it stands and every move it made."""
        pattern = finding.pattern(owner, name, request.user)
        row = pattern.channel(channel) if channel.isprintable() else None
        if row is None:
            raise NotThere(f"channel {channel[:64]}")
        moves = ChannelMove.objects.filter(channel=row).select_related("from_version", "to_version", "moved_by")
        return Response({**render.channel(row), "moves": [render.channel_move(move) for move in moves[:200]]})

    @extend_schema(operation_id="channel_move", request=shapes.ChannelBody, responses={200: OpenApiTypes.OBJECT})
    def put(self, request: Request, owner: str, name: str, channel: str) -> Response:
        """Move it (``version``), or protect or free it (``protected``)."""
        pattern = finding.pattern(owner, name, request.user)
        body = read_body(shapes.ChannelBody, request)
        row = pattern.channel(channel) if channel.isprintable() else None
        if body.get("version"):
            row = channels.move(
                pattern=pattern,
                name=channel,
                version=version_of(pattern, body["version"]),
                user=person(request),
                via="api",
                now=self.now,
                reason=body.get("reason", ""),
                expected_revision=body.get("expected_revision"),
            )
        if "protected" in body:
            row = channels.protect(
                pattern=pattern, name=channel, is_protected=body["protected"], user=person(request), now=self.now
            )
        if row is None:
            raise InvalidRequest("version", "say which version it should point to")
        return Response(render.channel(row))


class LineageView(HubView):
    """Where a pattern's text comes from."""

    @extend_schema(operation_id="pattern_lineage", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, owner: str, name: str) -> Response:
        """Nodes by digest with the versions that have the text, and edges child to parent; of stable."""
        return Response(_graph(request, owner, name, ""))


class VersionLineageView(HubView):
    """Where a version's text comes from."""

    @extend_schema(operation_id="version_lineage", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, owner: str, name: str, version: str) -> Response:
        """As of the pattern, around this version."""
        return Response(_graph(request, owner, name, version))


def _graph(request: Request, owner: str, name: str, version: str) -> dict[str, Any]:
    pattern = finding.pattern(owner, name, request.user)
    row = finding.pinned(owner, name, version, request.user) if version else pattern.version_named("")
    if row is None:
        raise NotThere(f"version of {pattern}")
    return graph_json(lineage.graph(digest=row.digest, user=request.user))


def graph_json(graph: lineage.Graph) -> dict[str, Any]:
    """The shape of a lineage answer."""
    return {
        "focus": graph.focus,
        "nodes": [
            {
                "digest": node.digest,
                "versions": [
                    {"pattern": str(row.pattern), "version": row.version, "yanked": row.is_yanked}
                    for row in node.versions
                ],
                "label": node.label,
                "steps": node.steps,
                "dangling": not node.versions,
            }
            for node in graph.nodes
        ],
        "edges": [
            {"child": edge.child_digest, "parent": edge.parent_digest, "op": edge.op, "detail": edge.detail}
            for edge in graph.edges
        ],
        "forks": [
            {"pattern": str(fork.pattern), "version": fork.version, "digest": fork.digest, "of": fork.of}
            for fork in graph.forks
        ],
        "truncated": graph.truncated,
    }


class ForkView(HubView):
    """Copying a pattern."""

    write_scope = Scope.PUBLISH

    @extend_schema(
        operation_id="pattern_fork",
        request=shapes.ForkBody,
        responses={201: shapes.VersionShape, 409: shapes.ProblemDetails},
    )
    def post(self, request: Request, owner: str, name: str) -> Response:
        """Under your own name by default; its statistics start at zero."""
        pattern = finding.pattern(owner, name, request.user)
        body = read_body(shapes.ForkBody, request)
        source = body.get("source")
        made = deriving.fork(
            version=version_of(pattern, body.get("version", "")),
            owner=owner_for(request, body.get("owner", "")),
            user=person(request),
            now=self.now,
            via="api",
            name=body.get("name", ""),
            source=source.encode("utf-8", "surrogatepass") if source is not None else None,
            visibility=body.get("visibility", ""),
            reason=body.get("reason", ""),
        )
        return Response(render.version(made), status=201, headers={"Location": render.row_path(made.pattern)})


class AdaptView(HubView):
    """Adapting a pattern to a situation."""

    @extend_schema(operation_id="pattern_adapt", request=shapes.AdaptBody, responses={201: shapes.PublishedShape})
    def post(self, request: Request, owner: str, name: str) -> Response:
        """Other values of inputs, and the context written down, as a pattern of its own."""
        pattern = finding.pattern(owner, name, request.user)
        body = read_body(shapes.AdaptBody, request)
        made = learning.adapt_pattern(
            version=version_of(pattern, body.get("version", "")),
            owner=owner_for(request, body.get("owner", "")),
            user=person(request),
            context=body["context"],
            inputs=body["inputs"],
            name=body.get("name", ""),
            now=self.now,
            via="api",
        )
        return Response(render.published(made), status=201)


class MergeView(HubView):
    """Merging another line into a pattern."""

    @extend_schema(
        operation_id="pattern_merge",
        request=shapes.MergeBody,
        responses={201: shapes.PublishedShape, 409: shapes.ProblemDetails},
    )
    def post(self, request: Request, owner: str, name: str) -> Response:
        """Three-way against the common ancestor; undecided conflicts are 409 with all of them."""
        pattern = finding.pattern(owner, name, request.user)
        body = read_body(shapes.MergeBody, request)
        made = deriving.merge(
            ours=version_of(pattern, body.get("version", "")),
            theirs=finding.version(body["theirs"], request.user),
            user=person(request),
            now=self.now,
            via="api",
            choices=body["choices"],
            base=finding.version(body["base"], request.user) if body.get("base") else None,
        )
        return Response(render.published(made), status=201)


class RatingsView(HubView):
    """Ratings of a pattern."""

    write_scope = Scope.RUN

    def scope_for(self, request: Request) -> str:
        """Any token that may write anything may rate."""
        return Scope.READ if request.method == "GET" else _social_scope(request)

    @extend_schema(operation_id="ratings_list", responses={200: shapes.AnyPageShape})
    def get(self, request: Request, owner: str, name: str) -> Response:
        """Newest first; those that moderators hid are left out."""
        pattern = finding.pattern(owner, name, request.user)
        rows = Rating.objects.filter(pattern=pattern, is_hidden=False).select_related("user", "version")
        return Response(page(request, rows, render.rating))

    @extend_schema(operation_id="rating_set", request=shapes.RatingBody, responses={200: OpenApiTypes.OBJECT})
    def put(self, request: Request, owner: str, name: str) -> Response:
        """One's own; a second one replaces the first."""
        pattern = finding.pattern(owner, name, request.user)
        body = read_body(shapes.RatingBody, request)
        row = feedback.rate(
            version=version_of(pattern, body.get("version", "")),
            user=person(request),
            stars=body["stars"],
            words=body.get("words", ""),
            now=self.now,
            via="api",
        )
        return Response(render.rating(row))

    @extend_schema(operation_id="rating_withdraw", responses={204: None})
    def delete(self, request: Request, owner: str, name: str) -> Response:
        """Take one's own rating back."""
        feedback.withdraw_rating(pattern=finding.pattern(owner, name, request.user), user=person(request))
        return Response(status=204)


def _social_scope(request: Request) -> str:
    """The scope of a rating or comment: publish or run, whichever the token has; run is named when it has neither."""
    token = request.auth
    return Scope.PUBLISH if token is not None and Scope.PUBLISH in getattr(token, "scopes", ()) else Scope.RUN


class CommentsView(HubView):
    """The discussion of a pattern."""

    def scope_for(self, request: Request) -> str:
        """As ratings."""
        return Scope.READ if request.method == "GET" else _social_scope(request)

    @extend_schema(operation_id="comments_list", responses={200: shapes.AnyPageShape})
    def get(self, request: Request, owner: str, name: str) -> Response:
        """Oldest first."""
        pattern = finding.pattern(owner, name, request.user)
        rows = Comment.objects.filter(pattern=pattern).select_related("user", "version")
        return Response(page(request, rows, render.comment, newest_first=False))

    @extend_schema(operation_id="comment_add", request=shapes.CommentBody, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, owner: str, name: str) -> Response:
        """Add to it, or answer a comment (``parent``)."""
        pattern = finding.pattern(owner, name, request.user)
        body = read_body(shapes.CommentBody, request)
        parent = None
        if body.get("parent"):
            parent = Comment.objects.filter(pattern=pattern, pk=body["parent"]).first()
            if parent is None:
                raise InvalidRequest("parent", "there is no such comment on this pattern")
        row = feedback.comment(
            pattern=pattern,
            user=person(request),
            text=body["text"],
            version=version_of(pattern, body["version"]) if body.get("version") else None,
            parent=parent,
            now=self.now,
            via="api",
        )
        return Response(render.comment(row), status=201)


class ReportView(HubView):
    """Asking the moderators."""

    def scope_for(self, request: Request) -> str:
        """As ratings."""
        return _social_scope(request)

    @extend_schema(operation_id="report_add", request=shapes.ReportBody, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, owner: str, name: str) -> Response:
        """About the pattern, or one rating or comment of it."""
        pattern = finding.pattern(owner, name, request.user)
        body = read_body(shapes.ReportBody, request)
        rating = Rating.objects.filter(pattern=pattern, pk=body["rating"]).first() if "rating" in body else None
        comment = Comment.objects.filter(pattern=pattern, pk=body["comment"]).first() if "comment" in body else None
        if ("rating" in body and rating is None) or ("comment" in body and comment is None):
            raise InvalidRequest("subject", "there is no such rating or comment on this pattern")
        row = feedback.report(
            pattern=pattern,
            user=person(request),
            reason=body["reason"],
            rating=rating,
            comment=comment,
            now=self.now,
        )
        return Response(render.report(row), status=201)


class ReportsView(HubView):
    """The moderators' queue."""

    read_scope = Scope.ADMIN
    needs_person = True

    @extend_schema(operation_id="reports_list", responses={200: shapes.AnyPageShape, 403: shapes.ProblemDetails})
    def get(self, request: Request) -> Response:
        """Open reports, oldest first; ``?status=`` for the others."""
        feedback.require_moderator(request.user)
        status = request.query_params.get("status", Report.Status.OPEN)
        if status not in Report.Status.values:
            raise InvalidRequest("status", f"choose from {', '.join(Report.Status.values)}")
        rows = Report.objects.filter(status=status).select_related("pattern__owner", "reporter")
        return Response(page(request, rows, render.report, newest_first=False))


class ResolveView(HubView):
    """Deciding a report."""

    write_scope = Scope.ADMIN

    @extend_schema(operation_id="report_resolve", request=shapes.ResolveBody, responses={200: OpenApiTypes.OBJECT})
    def post(self, request: Request, number: int) -> Response:
        """Uphold it (hides what it is about) or dismiss it."""
        body = read_body(shapes.ResolveBody, request)
        row = feedback.resolve(
            report_id=number, user=person(request), uphold=body["uphold"], note=body.get("note", ""), now=self.now
        )
        return Response(render.report(row))
