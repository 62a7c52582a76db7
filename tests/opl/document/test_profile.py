"""From a profile's name to a system prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from opl.document import ProfileSource, read
from opl.document.profile import ProfileCycle, ProfileMissing, ProfileTooLarge, resolve


def shelf(*texts: str):
    """A lookup over profiles written in YAML or Markdown."""
    found: dict[str, ProfileSource] = {}
    for text in texts:
        document, _ = read(text.encode())
        assert document is not None
        found.update({profile.name: profile for profile in document.profiles})
    return found.get


BASE = """\
type: profile
name: base
model: small
prompt: You are {{role|an agent}}.
variables: {tone: calm}
components:
  - name: manners
    inline: {prompt: "Be {{tone}}."}
  - name: limits
    inline: {capabilities: {read: true, write: false}}
"""
CHILD = """\
type: profile
name: child
extends: base
model: large
variables: {tone: brisk, role: a judge}
components:
  - name: manners
    inline: {prompt: "Be {{tone}} and fair."}
  - name: task
    inline: {content: "Judge {{what}}."}
"""


class TestResolve:
    def test_puts_parents_first_and_lets_the_child_replace_parts(self) -> None:
        resolved = resolve("child", shelf(BASE, CHILD))

        assert resolved.prompt == "You are a judge.\n\nBe brisk and fair.\n\nJudge {{what}}."
        assert resolved.chain == ("base", "child")
        assert resolved.model == "large"
        assert resolved.capabilities == ("read",)
        assert [part.origin for part in resolved.components] == ["base", "base", "child", "child"]

    def test_fills_in_the_variables_it_is_given(self) -> None:
        resolved = resolve("child", shelf(BASE, CHILD), variables={"what": ["a", 1], "tone": "kind"})

        assert resolved.prompt.endswith('Be kind and fair.\n\nJudge ["a", 1].')

    @pytest.mark.parametrize(
        ("slot", "filled"),
        [
            ("{{a|x y}}", "x y"),
            ("{{ a | default: x }}", "x"),
            ("{{a|default x}}", "x"),
            ("{{a|defaulting}}", "defaulting"),
            ("{{a|}}", ""),
            ("{{a}}", "{{a}}"),
            ("{{a.b}}", "{{a.b}}"),
        ],
    )
    def test_knows_every_way_of_giving_a_default(self, slot: str, filled: str) -> None:
        text = f"type: profile\nname: p\nprompt: 'So: {slot}.'\n"

        assert resolve("p", shelf(text)).prompt == f"So: {filled}."

    def test_fills_in_once_only(self) -> None:
        resolved = resolve("base", shelf(BASE), variables={"tone": "{{role}}"})

        assert "Be {{role}}." in resolved.prompt

    def test_takes_mixins_and_components_by_name(self) -> None:
        mixin = "---\ncomponent_type: behavior\nname: careful\n---\nCheck twice.\n"
        user = "type: profile\nname: user\nmixins: [careful]\ncomponents: [{name: b, source: base}]\n"

        resolved = resolve("user", shelf(BASE, mixin, user))

        assert resolved.prompt == "Check twice.\n\nBe calm.\n\nYou are an agent."
        assert resolved.chain == ("user",)

    def test_leaves_out_a_component_whose_condition_fails(self) -> None:
        text = (
            "type: profile\nname: p\nvariables: {on: true, off: false}\ncomponents:\n"
            "  - {name: a, condition: on, inline: {prompt: A}}\n"
            "  - {name: b, condition: '{{off}}', inline: {prompt: B}}\n"
            "  - {name: c, condition: not off, inline: {prompt: C}}\n"
        )

        assert resolve("p", shelf(text)).prompt == "A\n\nC"

    def test_lists_what_it_cannot_find(self) -> None:
        text = "type: profile\nname: p\nextends: gone\nmixins: [lost]\nprompt: here\n"

        resolved = resolve("p", shelf(text))

        assert resolved.missing == ("gone", "lost")
        assert resolved.prompt == "here"

    def test_refuses_a_profile_that_is_not_there(self) -> None:
        with pytest.raises(ProfileMissing, match="no profile 'nobody'"):
            resolve("nobody", shelf())

    def test_refuses_a_cycle_and_shows_it(self) -> None:
        one = "type: profile\nname: one\nextends: two\n"
        two = "type: profile\nname: two\ncomponents: [{name: x, composition: one}]\n"

        with pytest.raises(ProfileCycle, match="one → two → one"):
            resolve("one", shelf(one, two))

    def test_refuses_to_grow_without_end(self) -> None:
        texts = [f"type: profile\nname: p{n}\nmixins: [p{n + 1}, p{n + 1}]\nprompt: x\n" for n in range(20)]

        with pytest.raises(ProfileTooLarge, match="256 parts"):
            resolve("p0", shelf(*texts))

    def test_allows_a_part_that_is_reached_twice(self) -> None:
        left = "type: profile\nname: left\nextends: base\n"
        right = "type: profile\nname: right\nextends: base\n"
        both = "type: profile\nname: both\nextends: [left, right]\n"

        assert resolve("both", shelf(BASE, left, right, both)).prompt.count("Be calm.") == 1


def test_every_profile_of_the_corpus_resolves(shared: Path) -> None:
    profiles: dict[str, ProfileSource] = {}
    for file in sorted((shared / "corpus" / "profiles").iterdir()):
        document, _ = read(file.read_bytes(), file=file.name)
        profiles.update({profile.name: profile for profile in document.profiles if profile.name} if document else {})

    resolved = [resolve(name, profiles.get) for name in profiles]

    assert len(resolved) > 30
    assert sum(bool(each.prompt) for each in resolved) >= 25
