"""The published vectors of RFC 9421, appendices B.2 to B.4, through the views and the algorithm that we sign with."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    InvalidSignature,
)
from http_message_signatures.algorithms import ECDSA_P256_SHA256, HMAC_SHA256, RSA_PSS_SHA512

from federation.protocol.keys import SecretKey
from federation.protocol.messages import Request, Response
from federation.protocol.signing import Ed25519, RequestView, ResponseView

CREATED = 1618884473
RSA_PSS = b"""-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----"""
P256 = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----"""
SHARED_SECRET = base64.b64decode(
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
)
ED25519_PUBLIC = base64.b64decode("MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")[-32:]
ED25519_SEED = base64.b64decode("MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF")[-32:]

REQUEST = Request(
    method="POST",
    url="https://example.com/foo?param=Value&Pet=dog",
    headers=(
        ("Host", "example.com"),
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        (
            "Content-Digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        ),
        ("Content-Length", "18"),
    ),
    body=b'{"hello": "world"}',
)
RESPONSE = Response(
    status=200,
    headers=(
        ("Date", "Tue, 20 Apr 2021 02:07:56 GMT"),
        ("Content-Type", "application/json"),
        (
            "Content-Digest",
            "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",
        ),
        ("Content-Length", "23"),
    ),
    body=b'{"message": "good dog"}',
    request=REQUEST,
)

# label → (algorithm, key, message, signature input, signature)
VECTORS = {
    "sig-b21": (
        RSA_PSS_SHA512,
        load_pem_public_key(RSA_PSS),
        REQUEST,
        '();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
        "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7"
        "ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZ"
        "sfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Ny"
        "t8C8ssinQ98Xw9Q==",
    ),
    "sig-b22": (
        RSA_PSS_SHA512,
        load_pem_public_key(RSA_PSS),
        REQUEST,
        '("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss"'
        ';tag="header-example"',
        "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECx"
        "CmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+"
        "H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/"
        "XaVe4bXTugEjHSw==",
    ),
    "sig-b23": (
        RSA_PSS_SHA512,
        load_pem_public_key(RSA_PSS),
        REQUEST,
        '("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length")'
        ';created=1618884473;keyid="test-key-rsa-pss"',
        "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K"
        "0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1"
        "xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5f"
        "TIztsDZKEgM4cUA==",
    ),
    "sig-b24": (
        ECDSA_P256_SHA256,
        load_pem_public_key(P256),
        RESPONSE,
        '("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"',
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
    ),
    "sig-b25": (
        HMAC_SHA256,
        SHARED_SECRET,
        REQUEST,
        '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
        "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
    ),
    "sig-b26": (
        Ed25519,
        ED25519_PUBLIC,
        REQUEST,
        '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473'
        ';keyid="test-key-ed25519"',
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    ),
}


# B.3: what a proxy that ends TLS signs for the server behind it.
CLIENT_CERTIFICATE = (
    ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0"
    "ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnM"
    "tOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjL"
    "a38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoG"
    "CCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:"
)
BEHIND_PROXY = Request(
    method="POST",
    url="https://service.internal.example/foo?param=Value&Pet=dog",
    headers=(
        ("Host", "service.internal.example"),
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        ("Content-Length", "18"),
        ("Client-Cert", CLIENT_CERTIFICATE),
    ),
    body=b'{"hello": "world"}',
)
VECTORS["ttrp"] = (
    ECDSA_P256_SHA256,
    load_pem_public_key(P256),
    BEHIND_PROXY,
    '("@path" "@query" "@method" "@authority" "client-cert");created=1618884473;keyid="test-key-ecc-p256"',
    "xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==",
)

# B.4: a message on its way, and what may happen to it there.
TRANSFORM = '("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519"'
TRANSFORM_SIGNATURE = "ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA=="
DATE = ("Date", "Fri, 15 Jul 2022 14:24:55 GMT")
JSON_FIRST, ANY_SECOND = ("Accept", "application/json"), ("Accept", "*/*")


def asked(
    *headers: tuple[str, str], method: str = "GET", url: str = "https://example.org/demo?name1=Value1&Name2=value2"
):
    return Request(method=method, url=url, headers=headers)


VECTORS["transform"] = (Ed25519, ED25519_PUBLIC, asked(DATE, JSON_FIRST, ANY_SECOND), TRANSFORM, TRANSFORM_SIGNATURE)
SURVIVES = {
    "a header and a parameter that are not covered are added": asked(
        DATE, JSON_FIRST, ANY_SECOND, ("Accept-Language", "en-US,en;q=0.5"),
        url="https://example.org/demo?name1=Value1&Name2=value2&param=added",
    ),
    "a header that is not covered is removed, one is split anew": asked(("Referer", "https://developer.example.org/demo"), ("Accept", "application/json, */*")),
    "the lines stand in another order, one before the host": asked(JSON_FIRST, ANY_SECOND, DATE, ("Host", "example.org")),
}  # fmt: skip
DOES_NOT_SURVIVE = {
    "another method and authority": asked(
        DATE, JSON_FIRST, ANY_SECOND, method="POST", url="https://example.com/demo?name1=Value1&Name2=value2"
    ),
    "another order of a covered header": asked(DATE, ANY_SECOND, JSON_FIRST),
}


class _TimelessVerifier(HTTPMessageVerifier):
    def validate_created_and_expires(self, sig_input, max_age=None):
        assert sig_input.params["created"] == CREATED


class _Key:
    def __init__(self, key):
        self.key = key

    def resolve_public_key(self, key_id):
        return self.key


def verify(algorithm: type[HTTPSignatureAlgorithm], key, view, label: str):
    verifier = _TimelessVerifier(signature_algorithm=algorithm, key_resolver=_Key(key))
    verifier.allow_label_only_selection = True
    return verifier.verify(view, max_age=None)


def view_of(message):
    return ResponseView(message) if isinstance(message, Response) else RequestView(message)


def transformed(message):
    view = view_of(message)
    view.headers["Signature-Input"] = f"transform={TRANSFORM}"
    view.headers["Signature"] = f"transform=:{TRANSFORM_SIGNATURE}:"
    return view


class TestRfc9421:
    @pytest.mark.parametrize("label", VECTORS)
    def test_verifies_the_published_signature(self, label):
        algorithm, key, message, given, signature = VECTORS[label]
        view = view_of(message)
        view.headers["Signature-Input"] = f"{label}={given}"
        view.headers["Signature"] = f"{label}=:{signature}:"

        assert verify(algorithm, key, view, label)

    @pytest.mark.parametrize("label", VECTORS)
    def test_refuses_the_published_signature_on_other_parameters(self, label):
        algorithm, key, message, given, signature = VECTORS[label]
        view = view_of(message)
        view.headers["Signature-Input"] = f"{label}={given};expires=1618884474"
        view.headers["Signature"] = f"{label}=:{signature}:"

        with pytest.raises(InvalidSignature):
            verify(algorithm, key, view, label)

    def test_holds_every_vector_of_the_appendix(self):
        assert set(VECTORS) == {*(f"sig-b2{n}" for n in range(1, 7)), "ttrp", "transform"}

    @pytest.mark.parametrize("change", SURVIVES)
    def test_b4_survives_on_the_way(self, change):
        assert verify(Ed25519, ED25519_PUBLIC, transformed(SURVIVES[change]), "transform")

    @pytest.mark.parametrize("change", DOES_NOT_SURVIVE)
    def test_b4_does_not_survive(self, change):
        with pytest.raises(InvalidSignature):
            verify(Ed25519, ED25519_PUBLIC, transformed(DOES_NOT_SURVIVE[change]), "transform")

    @pytest.mark.parametrize("label", ["sig-b26", "transform"])
    def test_makes_the_published_ed25519_signature_bit_for_bit(self, label):
        _, _, message, given, signature = VECTORS[label]
        key = SecretKey.from_seed(ED25519_SEED)
        signer = HTTPMessageSigner(signature_algorithm=Ed25519)

        base, _, _ = signer._build_signature_base(
            view_of(message),
            covered_component_ids=list(signer._parse_signature_dictionary(f"x={given}")["x"]),
            signature_params={"created": CREATED, "keyid": "test-key-ed25519"},
        )

        assert base64.b64encode(key.sign(base.encode())).decode() == signature
        assert base.splitlines()[-1] == f'"@signature-params": {given}'
