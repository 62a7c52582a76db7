"""Webhooks: queued with the act, signed, retried, replayed, and only to approved hosts."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime, timedelta

import httpx2
import pytest

from registry.errors import InvalidRequest, NotAllowed, NotThere
from registry.models import User, Webhook, WebhookDelivery
from registry.outgoing import Door
from registry.services import maintenance, webhooks
from tests.registry.factories import NOW, make_admin, make_user, make_version

pytestmark = pytest.mark.django_db
URL = "https://hooks.example/opl"


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def hook(ada: User) -> Webhook:
    made = webhooks.create(owner=ada.own_owner, user=ada, url=URL, events=["version.published"], now=NOW)
    return webhooks.approve(webhook_id=made.pk, user=make_admin(), now=NOW)


class Receiver:
    """The other side; answers with the statuses it is given, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.requests: list[httpx2.Request] = []

    def door(self) -> Door:
        def answer(request: httpx2.Request) -> httpx2.Response:
            self.requests.append(request)
            return httpx2.Response(self.statuses.pop(0) if self.statuses else 200, stream=httpx2.ByteStream(b""))

        return Door(
            approves=lambda host: host == "hooks.example",
            resolver=lambda host, port: ["93.184.216.34"],
            transport=httpx2.MockTransport(answer),
        )


def deliver(receiver: Receiver, at: datetime = NOW) -> int:
    return webhooks.deliver_due(door=receiver.door(), now=at)


class TestCreate:
    def test_is_for_administrators_of_the_owner(self, ada: User) -> None:
        with pytest.raises(NotAllowed):
            webhooks.create(owner=ada.own_owner, user=make_user("eve"), url=URL, events=[], now=NOW)

    @pytest.mark.parametrize("url", ["http://hooks.example/", "https://127.0.0.1/", "https://user@x.example/", "x"])
    def test_refuses_addresses_that_are_never_called(self, ada: User, url: str) -> None:
        with pytest.raises(InvalidRequest):
            webhooks.create(owner=ada.own_owner, user=ada, url=url, events=[], now=NOW)

    def test_refuses_unknown_events(self, ada: User) -> None:
        with pytest.raises(InvalidRequest):
            webhooks.create(owner=ada.own_owner, user=ada, url=URL, events=["moon.rose"], now=NOW)


class TestDeliver:
    def test_signs_what_it_sends(self, ada: User, hook: Webhook) -> None:
        receiver = Receiver()
        make_version(user=ada)

        assert deliver(receiver) == 1

        request = receiver.requests[0]
        moment, _, signature = request.headers["Hub-Signature"].partition(",")
        expected = hmac.new(
            hook.secret.encode(), f"{moment.removeprefix('t=')}.".encode() + request.content, hashlib.sha256
        ).hexdigest()
        assert signature == f"v1={expected}"
        assert json.loads(request.content)["data"]["pattern"] == "ada/vote"
        assert WebhookDelivery.objects.get().status == "delivered"

    def test_sends_only_the_events_asked_for(self, ada: User, hook: Webhook) -> None:
        webhooks.enqueue(owner=ada.own_owner, event="channel.moved", data={}, now=NOW)

        assert not WebhookDelivery.objects.exists()

    def test_retries_later_and_later_with_the_same_id(self, ada: User, hook: Webhook) -> None:
        receiver = Receiver(500, 500)
        make_version(user=ada)

        arrived = [deliver(receiver, NOW + timedelta(minutes=m)) for m in (0, 0.5, 1, 2, 3)]

        assert arrived == [0, 0, 0, 0, 1]
        assert len({request.headers["Hub-Delivery"] for request in receiver.requests}) == 1
        assert WebhookDelivery.objects.get().attempts == 3

    def test_gives_up_in_the_end(self, ada: User, hook: Webhook) -> None:
        receiver = Receiver(*[500] * 20)
        make_version(user=ada)

        for number in range(15):
            deliver(receiver, NOW + timedelta(days=number))

        row = WebhookDelivery.objects.get()
        assert (row.status, row.attempts, row.last_error) == ("dead", webhooks.MAX_ATTEMPTS, "answered 500")

    def test_sends_nothing_before_the_host_is_approved(self, ada: User) -> None:
        webhooks.create(owner=ada.own_owner, user=ada, url=URL, events=[], now=NOW)
        make_version(user=ada)

        assert not WebhookDelivery.objects.exists()
        assert not webhooks.approved_hosts()

    def test_counts_an_attempt_once_when_two_sweep_at_once(self, ada: User, hook: Webhook) -> None:
        make_version(user=ada)
        row = WebhookDelivery.objects.get()
        receiver = Receiver()
        webhooks.deliver(delivery_id=row.pk, door=receiver.door(), now=NOW)

        webhooks.deliver(delivery_id=row.pk, door=receiver.door(), now=NOW)

        assert len(receiver.requests) == 1


class TestApprove:
    def test_is_for_administrators_of_the_hub(self, ada: User) -> None:
        made = webhooks.create(owner=ada.own_owner, user=ada, url=URL, events=[], now=NOW)

        with pytest.raises(NotAllowed):
            webhooks.approve(webhook_id=made.pk, user=ada, now=NOW)

    def test_makes_the_door_let_the_host_through(self, hook: Webhook) -> None:
        assert maintenance.webhook_door().approves("hooks.example")
        assert not maintenance.webhook_door().approves("other.example")


class TestReplay:
    def test_sends_the_same_body_as_a_new_delivery(self, ada: User, hook: Webhook) -> None:
        receiver = Receiver()
        make_version(user=ada)
        deliver(receiver)
        first = WebhookDelivery.objects.get()

        again = webhooks.replay(delivery_id=first.pk, user=ada, now=NOW)
        deliver(receiver)

        assert again.replay_of == first
        assert receiver.requests[0].content == receiver.requests[1].content

    def test_is_not_for_strangers(self, ada: User, hook: Webhook) -> None:
        make_version(user=ada)

        with pytest.raises(NotThere):
            webhooks.replay(delivery_id=WebhookDelivery.objects.get().pk, user=make_user("eve"), now=NOW)
