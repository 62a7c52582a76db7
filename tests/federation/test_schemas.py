"""The JSON Schemas of everything that goes over the wire, with their examples, and our own readers beside them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import jsonschema
import pytest
import rfc8785
from referencing import Registry, Resource

from federation.protocol import envelope, feed, lens, limits, problems, root, statement, strictjson
from federation.protocol.problems import Refused
from opl.document.canonical import canonical
from tests.federation.makers import author

FOLDER = Path(__file__).resolve().parents[2] / "schemas/federation"
SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in FOLDER.glob("*.schema.json")
}
EXAMPLES = {path.stem: json.loads(path.read_text()) for path in (FOLDER / "examples").glob("*.json")}
REGISTRY = Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values())
VALID = [(name, number) for name, given in EXAMPLES.items() for number in range(len(given["valid"]))]
INVALID = [(name, number) for name, given in EXAMPLES.items() for number in range(len(given["invalid"]))]


def conforms(name, value) -> bool:
    return jsonschema.Draft202012Validator(SCHEMAS[name], registry=REGISTRY).is_valid(value)


def read_statement(value):
    return statement.read(envelope.seal(strictjson.dumps(value), author().publish))


def read_root(value):
    body = {
        "_type": statement.STATEMENT_TYPE, "subject": [{"name": "x", "digest": {"sha256": "0" * 64}}],
        "predicateType": "https://opl.dev/predicate/root/v1", "predicate": value,
    }  # fmt: skip
    return root.read(read_statement(body))


READERS = {
    "statement": read_statement,
    "root": read_root,
    "envelope": envelope.opened,
    "lens": lens.read,
    "line": lambda value: feed.read_line(json.dumps(value).encode(), numbered="seq" in value),
}


class TestSchemas:
    @pytest.mark.parametrize("name", SCHEMAS)
    def test_are_schemas(self, name):
        jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])

    def test_have_examples_each(self):
        assert set(SCHEMAS) == set(EXAMPLES)
        assert all(given["valid"] and given["invalid"] for given in EXAMPLES.values())

    @pytest.mark.parametrize(("name", "number"), VALID)
    def test_accept_their_valid_examples(self, name, number):
        jsonschema.Draft202012Validator(SCHEMAS[name], registry=REGISTRY).validate(EXAMPLES[name]["valid"][number])

    @pytest.mark.parametrize(("name", "number"), INVALID)
    def test_refuse_their_invalid_examples(self, name, number):
        assert not conforms(name, EXAMPLES[name]["invalid"][number]["value"])

    @pytest.mark.parametrize(("name", "number"), [case for case in VALID if case[0] in READERS])
    def test_agree_with_our_readers_on_what_is_valid(self, name, number):
        READERS[name](EXAMPLES[name]["valid"][number])

    @pytest.mark.parametrize(("name", "number"), [case for case in INVALID if case[0] in READERS])
    def test_agree_with_our_readers_on_what_is_not(self, name, number):
        example = EXAMPLES[name]["invalid"][number]

        with pytest.raises(Refused):
            READERS[name](example["value"])

    def test_list_the_closed_codes(self):
        assert SCHEMAS["problem"]["properties"]["code"]["enum"] == list(problems.CODES)

    def test_know_every_advertised_limit(self):
        assert set(SCHEMAS["well-known"]["properties"]["limits"]["required"]) == set(limits.ADVERTISED)


# The test data published with RFC 8785 (cyberphone/json-canonicalization): name → what is given, what comes out.
PUBLISHED = {
    "arrays": ('[\n  56,\n  {\n    "d": true,\n    "10": null,\n    "1": [ ]\n  }\n]', '[56,{"1":[],"10":null,"d":true}]'),
    "french": (
        '{\n  "peach": "This sorting order",\n  "péché": "is wrong according to French",\n'
        '  "pêche": "but canonicalization MUST",\n  "sin":   "ignore locale"\n}',
        '{"peach":"This sorting order","péché":"is wrong according to French","pêche":"but canonicalization MUST",'
        '"sin":"ignore locale"}',
    ),
    "structures": (
        '{\n  "1": {"f": {"f": "hi","F": 5} ,"\\n": 56.0},\n  "10": { },\n  "": "empty",\n  "a": { },\n'
        '  "111": [ {"e": "yes","E": "no" } ],\n  "A": { }\n}',
        '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}',
    ),
    "unicode": ('{\n  "Unnormalized Unicode":"A\u030a"\n}', '{"Unnormalized Unicode":"A\u030a"}'),
    "values": (
        '{\n  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],\n'
        '  "string": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/",\n  "literals": [null, true, false]\n}',
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    ),
    "weird": (
        '{\n  "\\u20ac": "Euro Sign",\n  "\\r": "Carriage Return",\n  "\\u000a": "Newline",\n  "1": "One",\n'
        '  "\\u0080": "Control\\u007f",\n  "\\ud83d\\ude02": "Smiley",\n'
        '  "\\u00f6": "Latin Small Letter O With Diaeresis",\n  "\\ufb33": "Hebrew Letter Dalet With Dagesh",\n'
        '  "</script>": "Browser Challenge"\n}',
        '{"\\n":"Newline","\\r":"Carriage Return","1":"One","</script>":"Browser Challenge","\x80":"Control\x7f",'
        '"ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","\U0001f602":"Smiley",'
        '"\ufb33":"Hebrew Letter Dalet With Dagesh"}',
    ),
}  # fmt: skip


class TestRfc8785:
    """The examples and the published test data of RFC 8785, through the library and through our canonical form."""

    @pytest.mark.parametrize("name", PUBLISHED)
    @pytest.mark.parametrize("dumps", [rfc8785.dumps, canonical], ids=["library", "ours"])
    def test_published_data(self, dumps, name):
        given, expected = PUBLISHED[name]

        assert dumps(json.loads(given)) == expected.encode()

    SAMPLE = (
        '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        '"string": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/", "literals": [null, true, false]}'
    )
    CANONICAL = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )

    def test_section_3_2_2_sample(self):
        assert rfc8785.dumps(json.loads(self.SAMPLE)).decode() == self.CANONICAL

    def test_section_3_2_3_sorts_by_utf_16(self):
        keys = {"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
                "\U0001f600": "Emoji: Grinning Face", "\x80": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}  # fmt: skip

        assert list(json.loads(rfc8785.dumps(keys)).values()) == [
            "Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis", "Euro Sign", "Emoji: Grinning Face",
            "Hebrew Letter Dalet With Dagesh",
        ]  # fmt: skip

    # Appendix B: IEEE 754 bits → text
    NUMBERS = {
        "0000000000000000": "0", "8000000000000000": "0", "0000000000000001": "5e-324", "8000000000000001": "-5e-324",
        "7fefffffffffffff": "1.7976931348623157e+308", "ffefffffffffffff": "-1.7976931348623157e+308",
        "4340000000000000": "9007199254740992", "c340000000000000": "-9007199254740992",
        "4430000000000000": "295147905179352830000", "44b52d02c7e14af5": "9.999999999999997e+22",
        "44b52d02c7e14af6": "1e+23", "44b52d02c7e14af7": "1.0000000000000001e+23", "444b1ae4d6e2ef4e": "999999999999999700000",
        "444b1ae4d6e2ef4f": "999999999999999900000", "444b1ae4d6e2ef50": "1e+21", "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
        "3eb0c6f7a0b5ed8d": "0.000001", "41b3de4355555553": "333333333.3333332", "41b3de4355555554": "333333333.33333325",
        "41b3de4355555555": "333333333.3333333", "41b3de4355555556": "333333333.3333334",
        "41b3de4355555557": "333333333.33333343", "becbf647612f3696": "-0.0000033333333333333333",
        "43143ff3c1cb0959": "1424953923781206.2",
    }  # fmt: skip

    @pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
    def test_appendix_b_numbers(self, bits, text):
        number = struct.unpack(">d", bytes.fromhex(bits))[0]

        assert rfc8785.dumps(number).decode() == canonical(number).decode() == text

    @pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000"])
    def test_appendix_b_refuses_nan_and_infinity(self, bits):
        with pytest.raises(rfc8785.FloatDomainError):
            rfc8785.dumps(struct.unpack(">d", bytes.fromhex(bits))[0])
