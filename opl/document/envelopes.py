"""
Recognise what a source is and read it into a ``Document``.

    document, problems = read(data, file="tournament.yaml")

The form is decided by what the text is; the file's name only settles what the
text leaves open. Front matter with YAML below it (KSI writes such files) is
one YAML document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath
from typing import Any, NamedTuple

from opl.document import reading
from opl.document.canonical import NotCanonical, digest, script_value, semantic_digest
from opl.document.fields import common_fields
from opl.document.load import DEFAULT, Loaded, LoadLimits, load_text
from opl.document.markdown import Fence, FrontMatter, fences, front_matter
from opl.document.model import (
    Document,
    Envelope,
    Kind,
    Mode,
    Parent,
    ProfileSource,
    Role,
    ScriptSource,
)
from opl.document.prose import first_narrative, is_statement, looks_like_script
from opl.document.scripts import bare_script, scripts_in_fences, scripts_in_yaml
from opl.document.text import decode, each_line
from opl.errors import Problem, Severity

_KEY = re.compile(r"""(?:[A-Za-z_][\w .:/-]*|"[^"]*"|'[^']*'):(?:\s|$)|\{|\[|---|%|- """)
_PROFILE_TYPES = frozenset(("profile", "agent", "behavior", "persona", "core"))
_PATTERN_TYPES = frozenset(("orchestration", "orchestration_pattern", "pattern"))
_OPL_KEYS = frozenset(("pattern", "dsl", "adaptive_rules", "orchestration_flow", "learned_from"))
_KSI_KEYS = frozenset(("orchestration_logic", "agents", "coordination", "phases", "pattern_instructions"))
_PROFILE_KEYS = frozenset(("components", "extends", "mixins", "prompt"))


class Reading(NamedTuple):
    """What ``read`` found: a document, or None with the problems that say why."""

    document: Document | None
    problems: tuple[Problem, ...]


def read(data: bytes, *, file: str = "", limits: LoadLimits = DEFAULT) -> Reading:
    """
    Read a source of any envelope.

    Args:
        data: the bytes as they came; any bytes are allowed.
        file: as the caller names it; its suffix settles what the text leaves open.

    Returns:
        The document and all problems of reading it. Where the problems hold an
        error the document, if there is one, is good for showing only.
    """
    text, problems = decode(data, limit=limits.source_bytes)
    if text is None:
        return Reading(None, _in_file(problems, file))
    suffix = PurePath(file).suffix.lower()
    front = front_matter(text)
    if front is not None:
        reading_ = _read_front(data, text, front, suffix, limits, problems)
    elif _is_script(text, suffix):
        reading_ = Reading(_script(data, text), tuple(problems))
    elif _is_markdown(text, suffix):
        reading_ = Reading(_component(data, text, Loaded(text=text), text, 1), tuple(problems))
    else:
        reading_ = _read_yaml(data, load_text(text, limits=limits, before=problems), text)
    document = replace(reading_.document, file=file) if reading_.document and file else reading_.document
    return Reading(document, _in_file(reading_.problems, file))


def _in_file(problems: tuple[Problem, ...] | list[Problem], file: str) -> tuple[Problem, ...]:
    return tuple(replace(problem, file=file) for problem in problems) if file else tuple(problems)


def _first_line(text: str) -> str:
    """The first line that says something; comments do not."""
    return next((line for line in each_line(text) if line.strip() and not line.lstrip().startswith("#")), "")


def _is_script(text: str, suffix: str) -> bool:
    if suffix in (".opl", ".dsl"):
        return True
    if suffix in (".yaml", ".yml", ".json", ".md", ".markdown"):
        return False
    first = _first_line(text)
    return is_statement(first) and (looks_like_script(text) or not _KEY.match(first.strip()))


def _is_markdown(text: str, suffix: str) -> bool:
    if suffix in (".md", ".markdown"):
        return True
    if suffix in (".yaml", ".yml", ".json") or _KEY.match(_first_line(text).strip()):
        return False
    return bool(re.search(r"^#{1,6} \S", text, re.MULTILINE)) and bool(fences(text))


def _read_front(
    data: bytes, text: str, front: FrontMatter, suffix: str, limits: LoadLimits, problems: list[Problem]
) -> Reading:
    body = front.body
    if _KEY.match(_first_line(body).strip()) or (not body.strip() and suffix not in (".md", ".markdown")):
        # Comments in place of the markers keep every offset and line where it is.
        whole = "#" + text[1 : len(text) - len(body)].replace("\n---", "\n#--").replace("\r---", "\r#--") + body
        loaded = load_text(whole, limits=limits, before=problems)
        if isinstance(loaded.value, dict):
            return _read_yaml(data, loaded, text)
    loaded = load_text(front.text, limits=limits, first_line=front.first_line, before=problems)
    if not isinstance(loaded.value, dict):
        return Reading(None, (*loaded.problems, *_not_a_mapping(loaded)))
    return Reading(_component(data, text, loaded, body, front.body_line), loaded.problems)


def _read_yaml(data: bytes, loaded: Loaded, text: str) -> Reading:
    if not isinstance(loaded.value, dict):
        return Reading(None, (*loaded.problems, *_not_a_mapping(loaded)))
    envelope, kind, problems = _recognised(loaded)
    document = _from_yaml(data, text, loaded, envelope, kind)
    return Reading(document, (*loaded.problems, *problems))


def _not_a_mapping(loaded: Loaded) -> tuple[Problem, ...]:
    if loaded.root is None:
        return ()
    line, column = loaded.position("")
    return (
        Problem(
            code="opl.document.not-a-mapping",
            message="a document is a mapping of keys to values",
            hint="begin with type: orchestration_pattern",
            line=line,
            column=column,
        ),
    )


def _recognised(loaded: Loaded) -> tuple[Envelope, Kind, list[Problem]]:
    """Envelope and kind, by ``type`` or ``component_type`` and else by the keys."""
    value = loaded.value
    given = reading.string(value, "type") or reading.string(value, "component_type")
    keys = set(value)
    if given in _PATTERN_TYPES:
        ours = given == "orchestration_pattern" and not keys & {"orchestration_logic", "coordination"}
        return (Envelope.OPL if ours else Envelope.KSI), Kind.PATTERN, []
    if given in _PROFILE_TYPES:
        kind = Kind.PATTERN if "orchestration_logic" in keys else Kind.PROFILE
        return Envelope.KSI, kind, []
    if given:
        return Envelope.KSI, Kind.OTHER, []
    line, column = loaded.position("")
    if keys & _OPL_KEYS:
        return Envelope.OPL, Kind.PATTERN, [_untyped("orchestration_pattern", line, column)]
    if keys & _KSI_KEYS:
        return Envelope.KSI, Kind.PATTERN, [_untyped("orchestration", line, column)]
    if keys & _PROFILE_KEYS and "name" in keys:
        return Envelope.KSI, Kind.PROFILE, []
    return Envelope.KSI, Kind.OTHER, [_unknown(line, column)]


def _untyped(supposed: str, line: int, column: int) -> Problem:
    return Problem(
        code="opl.document.no-type",
        message=f"the document does not say what it is; read as {supposed}",
        hint=f"add the line type: {supposed}",
        severity=Severity.WARNING,
        line=line,
        column=column,
        pointer="/type",
    )


def _unknown(line: int, column: int) -> Problem:
    return Problem(
        code="opl.document.unknown-envelope",
        message="this is neither a pattern, nor a composition, nor a component",
        hint="add type: orchestration_pattern, type: orchestration or component_type",
        line=line,
        column=column,
        pointer="/type",
    )


def _from_yaml(data: bytes, text: str, loaded: Loaded, envelope: Envelope, kind: Kind) -> Document:
    value = loaded.value
    scripts = scripts_in_yaml(loaded)
    strategy = _strategy(value, scripts)
    return Document(
        envelope=envelope,
        kind=kind,
        text=text,
        value=value,
        digest=digest(data),
        semantic_digest=_semantic(value),
        scripts=scripts,
        strategy=strategy,
        mode=mode_of(scripts),
        profiles=_yaml_profiles(loaded) if kind is Kind.PROFILE else (),
        **common_fields(loaded),
    )


def mode_of(scripts: tuple[ScriptSource, ...]) -> Mode:
    """Executable where a script or a stage has no line that is narrative."""
    runnable = [script for script in scripts if script.role in (Role.SCRIPT, Role.FLOW)]
    formal = [script for script in runnable if script.formal or first_narrative(script.text) is None]
    return Mode.EXECUTABLE if formal else Mode.GUIDED


def _strategy(value: Any, scripts: tuple[ScriptSource, ...]) -> str:
    prose = [script.text for script in scripts if script.role is Role.SCRIPT and not script.formal]
    other = [reading.string(value, key) for key in ("pattern_instructions", "strategy", "initial_prompt")]
    return "\n\n".join(text for text in [*prose, *other] if text)


def _yaml_profiles(loaded: Loaded) -> tuple[ProfileSource, ...]:
    name = reading.written(loaded, "/name")
    return (ProfileSource(name=name, value=loaded.value, prompt="", line=loaded.position("")[0]),)


def _semantic(value: Any) -> str:
    try:
        return semantic_digest(value)
    except NotCanonical:
        return ""


def _script(data: bytes, text: str) -> Document:
    script = bare_script(text)
    value = script_value(text)
    return Document(
        envelope=Envelope.SCRIPT,
        kind=Kind.PATTERN,
        text=text,
        value=value,
        digest=digest(data),
        semantic_digest=_semantic(value),
        name=script.slug if script.title else "",
        description=script.title,
        scripts=(script,),
    )


def _component(data: bytes, text: str, loaded: Loaded, body: str, body_line: int) -> Document:
    value = loaded.value if isinstance(loaded.value, dict) else {}
    fenced = fences(body, body_line)
    scripts = scripts_in_fences(fenced)
    kind = _component_kind(reading.string(value, "component_type"), bool(scripts))
    document = Document(
        envelope=Envelope.COMPONENT,
        kind=kind,
        text=text,
        value=value,
        digest=digest(data),
        semantic_digest=_semantic({"front_matter": value, "body": script_value(body)["script"]}),
        scripts=scripts,
        strategy=body.strip(),
        mode=Mode.EXECUTABLE if scripts else Mode.GUIDED,
    )
    if value:
        document = replace(document, **common_fields(loaded))
    profile = ProfileSource(name=document.name, value=value, prompt=body.strip(), line=body_line)
    profiles = (profile,) if reading.string(value, "component_type") in _PROFILE_TYPES else ()
    patterns = tuple(_extracted(document, script) for script in scripts)
    embedded = tuple(_embedded(fenced))
    return replace(document, profiles=profiles, patterns=patterns, embedded=embedded)


def _embedded(fenced: list[Fence]) -> Iterator[Document]:
    """The documents that stand in YAML fences, with their places in the whole file."""
    for fence in fenced:
        if fence.language not in ("yaml", "yml") or fence.indent:
            continue
        data = fence.text.encode()
        loaded = load_text(fence.text, first_line=fence.first_line)
        document = _read_yaml(data, loaded, fence.text).document if loaded.ok else None
        if document is not None and document.kind is not Kind.OTHER and document.name:
            yield document


def _component_kind(given: str, has_scripts: bool) -> Kind:
    if given in _PATTERN_TYPES:
        return Kind.PATTERN
    if has_scripts:
        return Kind.COMPONENT
    return Kind.PROFILE if given in _PROFILE_TYPES else Kind.COMPONENT


def _extracted(component: Document, script: ScriptSource) -> Document:
    """The pattern that one fenced script of a component is."""
    own = _script(script.text.encode("utf-8", "surrogatepass"), script.text)
    edge = Parent(op="extracted_from", reference=component.digest, number=script.number)
    return replace(
        own,
        name=script.slug,
        description=script.title,
        version=component.version,
        author=component.author,
        tags=component.tags,
        dependencies=component.dependencies,
        capabilities=component.capabilities,
        security_profile=component.security_profile,
        scripts=(replace(own.scripts[0], title=script.title, slug=script.slug, formal=script.formal),),
        lineage=(edge,),
    )
