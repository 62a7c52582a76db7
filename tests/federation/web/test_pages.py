"""Pages of the federation for staff, for somebody signed in, for nobody: who sees what, and nothing hostile comes alive."""

from __future__ import annotations

import pytest
from django.test import Client

from federation.models import Statement, ThisNode
from tests.federation.web.conftest import HOSTILE, World

pytestmark = pytest.mark.django_db

PUBLIC = ("/peers/", "/peers/withdrawn/", "/peers/statistics/", "/peers/node/", "/health/")
STAFF = (
    "/peers/add/",
    "/peers/quarantine/",
    "/peers/blocked/",
    "/peers/blocked/add/",
    "/peers/outgoing/",
    "/peers/dead-letters/",
    "/peers/node/rotate/",
    "/peers/node/switch/",
)


def body(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, (path, answer.status_code)
    return answer.content.decode()


class TestEveryPage:
    def test_opens_for_staff_and_escapes_everything_foreign(self, world: World, as_root: Client) -> None:
        for path in world.everywhere:
            page = body(as_root, path)
            assert "<script>alert" not in page, path
            assert "<b onmouseover" not in page, path

    def test_asks_a_bounded_number_of_queries(
        self, world: World, as_root: Client, django_assert_max_num_queries: object
    ) -> None:
        for path in world.everywhere:
            with django_assert_max_num_queries(20):  # type: ignore[operator]
                as_root.get(path)

    def test_of_staff_is_not_there_for_others(self, world: World, as_ada: Client, client: Client) -> None:
        item = f"/peers/quarantine/{world.suspicious.pk}/"
        for path in (*STAFF, item, f"{item}approve/", f"/peers/{world.south.identity.id}/tier/?to=0"):
            body(as_ada, path, 404)
            answer = client.get(path)
            assert (answer.status_code, answer["Location"].startswith("/accounts/login/")) == (302, True), path

    def test_that_is_public_opens_for_everybody(self, world: World, client: Client) -> None:
        for path in PUBLIC:
            assert HOSTILE[:20] not in body(client, path)

    def test_opens_before_there_is_a_node(self, db: None, client: Client) -> None:
        assert not ThisNode.objects.exists()
        for path in PUBLIC:
            body(client, path)
        assert "not a node yet" in body(client, "/peers/")


class TestPeers:
    def test_shows_strangers_only_approved_ones_without_their_troubles(self, world: World, client: Client) -> None:
        page = body(client, "/peers/")

        assert "south.example" in page
        assert "gone" not in page and "502" not in page and "asks" not in page

    def test_are_not_there_for_strangers_below_approval(self, world: World, client: Client) -> None:
        for remote in (world.west, world.east):
            body(client, f"/peers/{remote.identity.id}/", 404)

    def test_hide_address_and_quota_of_approved_ones_from_strangers(self, world: World, client: Client) -> None:
        page = body(client, f"/peers/{world.south.identity.id}/")

        assert "https://south.example" not in page
        assert "objects today" not in page

    def test_show_staff_health_quota_and_refusals(self, world: World, as_root: Client) -> None:
        page = body(as_root, f"/peers/{world.west.identity.id}/")

        assert "failed 3 times in a row" in page
        assert "it answered 502" in page
        assert "412" in page and "1,000" in page
        assert 'unsafe-document</code> <b class="num">5</b>' in page

    def test_carry_the_words_of_their_chain(self, world: World, as_root: Client) -> None:
        page = body(as_root, f"/peers/{world.east.identity.id}/")

        words = world.east.identity.chain.fingerprint.split()
        assert "".join(f"<li>{word}</li>" for word in words) in page

    def test_list_costs_the_same_for_many(
        self, world: World, as_root: Client, make_remote: object, django_assert_max_num_queries: object
    ) -> None:
        for number in range(8):
            make_remote(f"more{number}")  # type: ignore[operator]

        with django_assert_max_num_queries(14):  # type: ignore[operator]
            body(as_root, "/peers/")


class TestQuarantine:
    def test_names_objects_by_author_and_node(self, world: World, as_root: Client) -> None:
        page = body(as_root, "/peers/quarantine/")

        assert "/relay</bdi>" in page and "/echo</bdi>" in page
        names = [line for line in page.split("<bdi>") if "/relay</bdi>" in line]
        assert "\u202e" not in "".join(names)

    def test_filters_by_state_and_findings(self, world: World, as_root: Client) -> None:
        assert "/echo</bdi>" not in body(as_root, "/peers/quarantine/?found=yes")
        assert "ada@south.example/echo" in body(as_root, "/peers/quarantine/?state=admitted")
        assert "Nothing of that kind" in body(as_root, "/peers/quarantine/?state=expired")

    def test_shows_findings_with_line_and_column(self, world: World, as_root: Client) -> None:
        page = body(as_root, f"/peers/quarantine/{world.suspicious.pk}/")

        finding = next(each for each in world.suspicious.findings if each["category"] == "secret")
        assert f'href="#L{finding["line"]}"' in page
        assert f"{finding['line']}:{finding['column']}</a>" in page

    def test_shows_the_difference_to_the_parent(self, world: World, as_root: Client) -> None:
        page = body(as_root, f"/peers/quarantine/{world.held.pk}/")

        assert "a parent, which stands here" in page
        assert 'class="plus"' in page

    def test_shows_every_step_with_its_reason(self, world: World, as_root: Client) -> None:
        page = body(as_root, f"/peers/quarantine/{world.admitted.pk}/")

        assert page.index("It was approved") < page.index("The signature was verified")
        assert "read it" in page

    def test_of_an_unknown_number_is_not_there(self, world: World, as_root: Client) -> None:
        body(as_root, "/peers/quarantine/999999/", 404)
        body(as_root, f"/peers/quarantine/{2**70}/", 404)


class TestWhy:
    def test_tells_staff_what_was_decided(self, world: World, as_root: Client) -> None:
        page = body(as_root, "/peers/why/?q=eve/echo@1.1.0")

        assert "waits for you" in page and "T2 (probation)" in page

    def test_finds_by_the_beginning_of_a_digest_and_of_a_refused_line(self, world: World, as_root: Client) -> None:
        assert "/relay@1.0.0" in body(as_root, f"/peers/why/?q={world.suspicious.statement.subject_digest[:16]}")
        assert "refused on arrival" in body(as_root, f"/peers/why/?q={'ab' * 5}")

    def test_tells_an_author_why_a_version_stays(self, world: World, as_ada: Client) -> None:
        page = body(as_ada, "/peers/why/?q=ada/leaky")

        assert "kept back" in page and "remove it and publish again" in page

    def test_tells_nobody_about_what_they_may_not_see(self, world: World, as_ada: Client, client: Client) -> None:
        assert "Nothing on record" in body(as_ada, "/peers/why/?q=relay")
        body(client, "/peers/why/?q=echo", 404)

    def test_takes_any_text(self, world: World, as_root: Client) -> None:
        for asked in ("%", "@", "/", "a/b/c@d@e", "é" * 300, "%00", "0" * 64):
            body(as_root, f"/peers/why/?q={asked}")


class TestEgress:
    def test_shows_exactly_what_was_signed(self, world: World, as_ada: Client) -> None:
        page = body(as_ada, "/patterns/ada/vote/egress/")

        assert "Exactly this left your node" in page
        assert world.own.digest in page and "prompt" in page

    def test_previews_before_it_was_looked_at(self, world: World, as_ada: Client) -> None:
        from tests.registry.factories import make_version

        make_version("fresh", user=world.ada)

        assert "Exactly this leaves your node" in body(as_ada, "/patterns/ada/fresh/egress/")
        assert not Statement.objects.filter(subject_name="ada/fresh").exists()

    def test_says_why_nothing_leaves_and_where(self, world: World, as_ada: Client) -> None:
        page = body(as_ada, "/patterns/ada/leaky/egress/")

        assert "Nothing of this version leaves" in page
        assert "remove it and publish again" in page
        assert "Members of the statement" not in page

    def test_is_for_who_publishes_it(self, world: World, client: Client) -> None:
        body(client, "/patterns/ada/vote/egress/", 404)

    def test_gives_the_envelope_to_whoever_sees_the_version(self, world: World, client: Client) -> None:
        statement = Statement.objects.get(shared__pattern_version=world.own)

        answer = client.get(f"/peers/statements/{statement.statement_id}.json")

        assert answer.json() == statement.to_json()
        body(client, f"/peers/statements/{world.held.statement.statement_id}.json", 404)


class TestProvenance:
    def test_names_signer_way_and_attestations(self, world: World, client: Client) -> None:
        page = body(client, f"{world.foreign_pattern}provenance/?version=1.0.0")

        assert world.south.author.id in page
        assert "this node" in page
        assert "What other nodes attest" in page and "40 runs" in page and "× 0.25" in page

    def test_leads_publishers_to_the_preview(self, world: World, as_ada: Client, client: Client) -> None:
        assert "What left this node" in body(as_ada, "/patterns/ada/vote/provenance/")
        assert "What left this node" not in body(client, "/patterns/ada/vote/provenance/")


class TestRecords:
    def test_shows_tombstones_with_reasons(self, world: World, client: Client) -> None:
        page = body(client, "/peers/withdrawn/")

        assert "ada@south.example/echo" in page and "it loops" in page

    def test_shows_the_epsilon_spent(self, world: World, client: Client) -> None:
        page = body(client, "/peers/statistics/")

        assert "ε spent" in page and "in 1 period" in page

    def test_shows_dead_letters_by_code(self, world: World, as_root: Client) -> None:
        assert "unsafe-document" in body(as_root, "/peers/dead-letters/?code=unsafe-document")
        assert "Nothing of that kind" in body(as_root, "/peers/dead-letters/?code=replay")


class TestNode:
    def test_shows_words_and_public_keys_to_everybody_and_no_secret(self, world: World, client: Client) -> None:
        from federation.services import identities

        chain = identities.chain_of(world.node.node_id)
        assert chain is not None
        page = body(client, "/peers/node/")

        assert all(key in page for key in (*chain.latest.root_keys, *chain.latest.transport))
        assert "".join(f"<li>{word}</li>" for word in chain.fingerprint.split()) in page
        assert "Kill switch" not in page
