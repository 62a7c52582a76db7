"""One's own things: tokens, drafts, owners, webhooks, and the audit log."""

from __future__ import annotations

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import render, shapes
from registry.api.base import HubView, person
from registry.api.bodies import read_body
from registry.api.paging import page
from registry.api.views.publish import owner_for
from registry.errors import NotThere
from registry.models import Draft, Membership, Owner, Scope, Token, Webhook, WebhookDelivery
from registry.services import audit, drafts, finding, owners, tokens, webhooks


class MeView(HubView):
    """Who is calling."""

    needs_person = True

    @extend_schema(operation_id="me", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """The person, their owners with roles, and what the token may do."""
        rows = Membership.objects.filter(user=person(request)).select_related("owner").order_by("owner__name")
        return Response(
            {
                "user": request.user.get_username(),
                "owners": [{"name": row.owner.name, "kind": row.owner.kind, "role": row.role} for row in rows],
                "scopes": request.auth.scopes if isinstance(request.auth, Token) else list(Scope.values),
            }
        )


class TokensView(HubView):
    """One's own tokens."""

    needs_person = True
    read_scope = Scope.ADMIN
    write_scope = Scope.ADMIN
    throttle_name = "tokens"
    keeps_answers = False

    @extend_schema(operation_id="tokens_list", responses={200: shapes.AnyPageShape})
    def get(self, request: Request) -> Response:
        """Without their secrets."""
        return Response(page(request, Token.objects.filter(user=person(request)), render.token))

    @extend_schema(operation_id="token_create", request=shapes.TokenBody, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        """The answer holds the secret; it is shown this once."""
        body = read_body(shapes.TokenBody, request)
        made = tokens.create(user=person(request), now=self.now, via="api", **body)
        return Response({**render.token(made.token), "token": made.secret}, status=201)


class TokenView(HubView):
    """One token."""

    write_scope = Scope.ADMIN
    throttle_name = "tokens"

    @extend_schema(operation_id="token_revoke", responses={204: None})
    def delete(self, request: Request, number: int) -> Response:
        """Make it useless."""
        tokens.revoke(user=person(request), token_id=number, now=self.now, via="api")
        return Response(status=204)


class OwnersView(HubView):
    """Making organisations."""

    @extend_schema(operation_id="owner_create", request=shapes.OwnerBody, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        """An organisation that you administer."""
        body = read_body(shapes.OwnerBody, request)
        return Response(
            render.owner(owners.create_organisation(user=person(request), now=self.now, **body)), status=201
        )


class OwnerView(HubView):
    """A person or an organisation."""

    @extend_schema(operation_id="owner_read", responses={200: OpenApiTypes.OBJECT, 404: shapes.ProblemDetails})
    def get(self, request: Request, owner: str) -> Response:
        """Who it is; members are shown to members."""
        row = finding.owner(owner)
        answer = render.owner(row)
        if row.role_of(request.user):
            members = row.memberships.select_related("user").order_by("user__username")
            answer["members"] = [{"user": one.user.get_username(), "role": one.role} for one in members]
        return Response(answer)


class MemberView(HubView):
    """One member of an organisation."""

    write_scope = Scope.ADMIN

    def scope_for(self, request: Request) -> str:
        """Publishing is enough: the organisation's own roles decide."""
        return Scope.PUBLISH

    @extend_schema(operation_id="member_set", request=shapes.MemberBody, responses={200: OpenApiTypes.OBJECT})
    def put(self, request: Request, owner: str, username: str) -> Response:
        """Give a role."""
        body = read_body(shapes.MemberBody, request)
        row = owners.set_member(
            owner=finding.owner(owner), username=username[:200], role=body["role"], user=person(request), now=self.now
        )
        return Response({"user": row.user.get_username(), "role": row.role})

    @extend_schema(operation_id="member_remove", responses={204: None})
    def delete(self, request: Request, owner: str, username: str) -> Response:
        """Take out, or leave."""
        owners.remove_member(owner=finding.owner(owner), username=username[:200], user=person(request), now=self.now)
        return Response(status=204)


class DraftsView(HubView):
    """One's own drafts."""

    needs_person = True
    read_scope = Scope.PUBLISH

    @extend_schema(operation_id="drafts_list", responses={200: shapes.AnyPageShape})
    def get(self, request: Request) -> Response:
        """Newest first."""
        return Response(page(request, Draft.objects.filter(user=person(request)).select_related("owner"), render.draft))

    @extend_schema(operation_id="draft_create", request=shapes.DraftBody, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        """Keep a text that nobody else sees."""
        body = read_body(shapes.DraftBody, request)
        row = drafts.save(
            user=person(request),
            owner=owner_for(request, body.get("owner", "")),
            source=body["source"].encode("utf-8", "surrogatepass"),
            title=body.get("title", ""),
            file_name=body.get("file", ""),
            now=self.now,
        )
        return Response(render.draft(row), status=201)


class DraftView(HubView):
    """One draft."""

    needs_person = True
    read_scope = Scope.PUBLISH

    @extend_schema(operation_id="draft_read", responses={200: OpenApiTypes.OBJECT, 404: shapes.ProblemDetails})
    def get(self, request: Request, number: int) -> Response:
        """With its text."""
        return Response(render.draft(drafts.find(draft_id=number, user=person(request))))

    @extend_schema(
        operation_id="draft_save",
        request=shapes.DraftBody,
        responses={200: OpenApiTypes.OBJECT, 409: shapes.ProblemDetails},
    )
    def put(self, request: Request, number: int) -> Response:
        """Replace the text; ``expected_revision`` guards against another editor."""
        row = drafts.find(draft_id=number, user=person(request))
        body = read_body(shapes.DraftBody, request)
        saved = drafts.save(
            user=person(request),
            owner=finding.owner(body["owner"]) if body.get("owner") else row.owner,
            source=body["source"].encode("utf-8", "surrogatepass"),
            title=body.get("title", ""),
            draft=row,
            expected_revision=body.get("expected_revision"),
            now=self.now,
        )
        return Response(render.draft(saved))

    @extend_schema(operation_id="draft_delete", responses={204: None})
    def delete(self, request: Request, number: int) -> Response:
        """Throw it away."""
        drafts.delete(draft=drafts.find(draft_id=number, user=person(request)), user=person(request))
        return Response(status=204)


class DraftPublishView(HubView):
    """Publishing a draft."""

    throttle_name = "publish"

    @extend_schema(
        operation_id="draft_publish", request=None, responses={201: shapes.PublishedShape, 422: shapes.ProblemDetails}
    )
    def post(self, request: Request, number: int) -> Response:
        """It becomes a version and is gone as a draft."""
        row = drafts.find(draft_id=number, user=person(request))
        answer = drafts.publish(draft=row, user=person(request), now=self.now, via="api")
        return Response(render.published(answer), status=201)


class AuditView(HubView):
    """The audit log."""

    needs_person = True

    @extend_schema(operation_id="audit_list", responses={200: shapes.AnyPageShape})
    def get(self, request: Request) -> Response:
        """One's own acts and those of owners one administers; everything for staff. Newest first."""
        rows = audit.readable_by(request.user)
        for name in ("action", "owner"):
            wanted = request.query_params.get(name, "").replace("\0", "")
            if wanted:
                rows = rows.filter(**{"owner_name" if name == "owner" else name: wanted[:64]})
        return Response(page(request, rows, render.audit_entry, key="sequence"))


class AuditChainView(HubView):
    """Whether the audit log is whole."""

    needs_person = True
    read_scope = Scope.ADMIN

    @extend_schema(operation_id="audit_verify", responses={200: OpenApiTypes.OBJECT, 404: shapes.ProblemDetails})
    def get(self, request: Request) -> Response:
        """Recomputes every hash; ``broken_at`` is the first entry that does not fit."""
        if not request.user.is_staff:
            raise NotThere("audit chain")
        broken = audit.verify_chain()
        return Response({"whole": broken is None, "broken_at": broken})


def _administered(request: Request, name: str) -> Owner:
    owner = finding.owner(name)
    if not owner.can_administer(request.user):
        raise NotThere(f"owner {name}")
    return owner


class WebhooksView(HubView):
    """The webhooks of an owner."""

    needs_person = True
    read_scope = Scope.PUBLISH
    keeps_answers = False

    @extend_schema(operation_id="webhooks_list", responses={200: shapes.AnyPageShape})
    def get(self, request: Request, owner: str) -> Response:
        """For those who administer it."""
        rows = Webhook.objects.filter(owner=_administered(request, owner)).select_related("owner")
        return Response(page(request, rows, render.webhook))

    @extend_schema(operation_id="webhook_create", request=shapes.WebhookBody, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, owner: str) -> Response:
        """The answer holds the secret that signs; it is shown this once."""
        body = read_body(shapes.WebhookBody, request)
        row = webhooks.create(
            owner=finding.owner(owner),
            user=person(request),
            now=self.now,
            allow_loopback=getattr(settings, "FEDERATION_ALLOW_LOOPBACK", False),
            **body,
        )
        return Response({**render.webhook(row), "secret": row.secret}, status=201)


class WebhookView(HubView):
    """One webhook."""

    @extend_schema(operation_id="webhook_remove", responses={204: None})
    def delete(self, request: Request, number: int) -> Response:
        """Forget it."""
        webhooks.remove(webhook_id=number, user=person(request), now=self.now)
        return Response(status=204)


class WebhookApproveView(HubView):
    """Allowing requests to a webhook's host."""

    write_scope = Scope.ADMIN

    @extend_schema(operation_id="webhook_approve", request=None, responses={200: OpenApiTypes.OBJECT})
    def post(self, request: Request, number: int) -> Response:
        """For administrators of the hub."""
        return Response(render.webhook(webhooks.approve(webhook_id=number, user=person(request), now=self.now)))


class DeliveriesView(HubView):
    """What was sent to a webhook."""

    needs_person = True
    read_scope = Scope.PUBLISH

    @extend_schema(operation_id="deliveries_list", responses={200: shapes.AnyPageShape})
    def get(self, request: Request, number: int) -> Response:
        """Newest first."""
        hook = Webhook.objects.select_related("owner").filter(pk=number).first()
        if hook is None or not hook.owner.can_administer(request.user):
            raise NotThere(f"webhook {number}")
        return Response(page(request, WebhookDelivery.objects.filter(webhook=hook), render.delivery))


class ReplayView(HubView):
    """Sending a message again."""

    @extend_schema(operation_id="delivery_replay", request=None, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, number: int) -> Response:
        """As a new delivery of the same body."""
        row = webhooks.replay(delivery_id=number, user=person(request), now=self.now)
        return Response(render.delivery(row), status=201)
