"""
Peers, quarantine and blocked authors over HTTP: parse, one service call, answer.

For staff with the scope ``federate``; to anybody else none of it is there.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from federation.api.staff import shapes
from federation.errors import FederationError
from federation.models import BlockedAuthor, Peer, QuarantineItem
from federation.protocol.quarantine import State
from federation.protocol.tiers import Tier
from federation.services import blocking, describing, identities, quarantining, trusting, trying
from registry.api.base import HubView, person
from registry.api.bodies import read_body
from registry.api.paging import page
from registry.errors import InvalidRequest, NotThere
from registry.models import Scope

_REFUSALS = {403: shapes.ProblemDetails, 404: shapes.ProblemDetails, 409: shapes.ProblemDetails}


def _items() -> QuerySet[QuarantineItem]:
    """Foreign objects with everything that their description shows."""
    return QuarantineItem.objects.select_related("statement", "peer", "admitted_as__pattern__owner")


class StaffView(HubView):
    """The base of these views."""

    read_scope: ClassVar[str] = Scope.FEDERATE
    write_scope: ClassVar[str] = Scope.FEDERATE
    needs_person: ClassVar[bool] = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """As everywhere, then staff only."""
        super().initial(request, *args, **kwargs)
        if not getattr(request.user, "is_staff", False):
            raise NotThere("page")


class Peers(StaffView):
    """The nodes this one knows."""

    @extend_schema(operation_id="peers_list", responses={200: shapes.PeerPage, **_REFUSALS})
    def get(self, request: Request) -> Response:
        """All of them, newest first."""
        node = cache(identities.node)  # once for all rows, and not at all where there is none
        return Response(page(request, Peer.objects.all(), lambda row: describing.peer(row, node=node(), now=self.now)))


class OnePeer(StaffView):
    """One node."""

    def peer(self, node_id: str) -> Peer:
        """The peer of that id or label; NotThere where nobody has it."""
        try:
            return trusting.find(node_id.replace("\0", ""))
        except FederationError as error:
            raise NotThere(f"peer {node_id[:40]}") from error

    @extend_schema(operation_id="peer_read", responses={200: shapes.PeerShape, **_REFUSALS})
    def get(self, request: Request, node_id: str) -> Response:
        """How it does."""
        return Response(describing.peer(self.peer(node_id), node=identities.node(), now=self.now))

    @extend_schema(operation_id="peer_decide", request=shapes.PeerBody, responses={200: shapes.PeerShape, **_REFUSALS})
    def patch(self, request: Request, node_id: str) -> Response:
        """Say how far it is trusted (``tier``), or stop and resume the exchange (``paused``)."""
        body, row, user = read_body(shapes.PeerBody, request), self.peer(node_id), person(request)
        if "tier" in body:
            trusting.set_tier(row, Tier(body["tier"]), now=self.now, user=user, reason=body.get("reason", ""))
        if "paused" in body:
            trusting.pause(row, is_paused=body["paused"], now=self.now, user=user)
        return Response(describing.peer(row, node=identities.node(), now=self.now))


class Quarantine(StaffView):
    """What came from outside."""

    @extend_schema(
        operation_id="quarantine_list",
        parameters=[
            OpenApiParameter("state", str, enum=[str(state) for state in State]),
            OpenApiParameter("peer", str, description="node id of who brought it"),
        ],
        responses={200: shapes.ItemPage, **_REFUSALS},
    )
    def get(self, request: Request) -> Response:
        """Newest first; ``?state=`` and ``?peer=`` narrow it."""
        rows = _items()
        state, peer = request.query_params.get("state", ""), request.query_params.get("peer", "")
        if state:
            if state not in set(State):
                raise InvalidRequest("state", f"choose from {', '.join(State)}")
            rows = rows.filter(state=state)
        if peer:
            rows = rows.filter(peer__node_id=peer.replace("\0", "")[:64])
        return Response(page(request, rows, describing.item))


class OneItem(StaffView):
    """One foreign object."""

    def item(self, item_id: int) -> QuarantineItem:
        """The object; NotThere without one."""
        found = _items().filter(pk=item_id).first()
        if found is None:
            raise NotThere(f"object {item_id}")
        return found

    @extend_schema(operation_id="quarantine_read", responses={200: shapes.ItemShape, **_REFUSALS})
    def get(self, request: Request, item_id: int) -> Response:
        """Where it stands, why, and what the scan found."""
        return Response(describing.item(self.item(item_id)))


class Decide(OneItem):
    """What becomes of it."""

    http_method_names = ["post", "options"]

    @extend_schema(
        operation_id="quarantine_decide", request=shapes.DecideBody, responses={200: shapes.ItemShape, **_REFUSALS}
    )
    def post(self, request: Request, item_id: int) -> Response:
        """Approve or reject it, try it here, or block its author."""
        body, row, user = read_body(shapes.DecideBody, request), self.item(item_id), person(request)
        reason = body.get("reason", "").strip()
        if body["decision"] in ("reject", "block") and not reason:
            raise InvalidRequest("reason", "say why; whoever asks reads it")
        if body["decision"] == "approve":
            quarantining.approve(row, reason=reason, now=self.now, actor=user)
        elif body["decision"] == "reject":
            quarantining.reject(row, reason=reason, now=self.now, actor=user)
        elif body["decision"] == "try":
            trying.request(row, now=self.now, reason=reason or "asked for by hand", actor=user)
        else:
            quarantining.block_author(row, reason=reason, now=self.now, actor=user)
        return Response(describing.item(self.item(item_id)))


class BlockedAuthors(StaffView):
    """Authors this node takes nothing from, whoever brings it."""

    @extend_schema(operation_id="blocked_authors_list", responses={200: shapes.BlockedPage, **_REFUSALS})
    def get(self, request: Request) -> Response:
        """The newest first."""
        found = page(request, BlockedAuthor.objects.select_related("blocked_by"), lambda row: row)
        return Response({**found, "results": describing.blocked_authors(found["results"])})

    @extend_schema(
        operation_id="author_block", request=shapes.BlockBody, responses={201: shapes.BlockAnswer, **_REFUSALS}
    )
    def post(self, request: Request) -> Response:
        """Block one; what waits of it here is refused."""
        body = read_body(shapes.BlockBody, request)
        author = body["author_id"]
        refused = blocking.block(author, reason=body["reason"], now=self.now, actor=person(request))
        return Response({"author_id": author, "refused": refused}, status=201)


class OneBlockedAuthor(StaffView):
    """One of them."""

    @extend_schema(operation_id="blocked_author_read", responses={200: shapes.BlockedShape, **_REFUSALS})
    def get(self, request: Request, author_id: str) -> Response:
        """Why, since when, and how much was refused since."""
        row = BlockedAuthor.objects.select_related("blocked_by").filter(author_id=author_id.replace("\0", "")).first()
        if row is None:
            raise NotThere(f"blocked author {author_id[:40]}")
        return Response(describing.blocked_authors([row])[0])

    @extend_schema(operation_id="author_unblock", responses={200: shapes.UnblockAnswer, **_REFUSALS})
    def delete(self, request: Request, author_id: str) -> Response:
        """Take it off the list; what was refused meanwhile is looked at again."""
        accepted = blocking.unblock(author_id.replace("\0", ""), now=self.now, actor=person(request))
        return Response({"author_id": author_id, "accepted": accepted})
