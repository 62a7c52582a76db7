"""
What requests hold and answers look like: the source of the OpenAPI description, and the check of requests.

Inputs are validated here (types, sizes); what they mean is judged by the
services. Answers are rendered by ``registry.api.render`` and described here.
"""

# mypy: disable-error-code="assignment"
# A serializer may have fields named like attributes of a field (`source`, `context`); DRF keeps them apart.

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from registry.api.bodies import Body

MAX_SOURCE = 1024 * 1024


def optional(**options: Any) -> serializers.CharField:
    """An optional text."""
    return serializers.CharField(**{"required": False, "allow_blank": True, "max_length": 200, **options})


class Described(serializers.Serializer[Any]):
    """The base of shapes that only describe an answer."""


class ProblemShape(Described):
    """One finding about a text."""

    code = serializers.CharField()
    severity = serializers.ChoiceField(["error", "warning", "note"])
    message = serializers.CharField()
    hint = serializers.CharField(allow_blank=True)
    file = serializers.CharField(allow_blank=True)
    line = serializers.IntegerField(help_text="from 1; 0 where no line can be named")
    column = serializers.IntegerField(help_text="from 1, in characters")
    length = serializers.IntegerField()
    pointer = serializers.CharField(allow_blank=True, help_text="RFC 6901")


class ProblemDetails(Described):
    """RFC 9457 problem details."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    problems = ProblemShape(many=True, required=False)
    fields = serializers.DictField(required=False)
    retry_after = serializers.IntegerField(required=False)


class RateShape(Described):
    """A success rate with what it stands on."""

    runs = serializers.IntegerField()
    successes = serializers.IntegerField()
    rate = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(help_text="Wilson, 95 %")
    high = serializers.FloatField(help_text="Wilson, 95 %")
    shrunk = serializers.FloatField()
    rated = serializers.BooleanField(help_text="false under five runs")
    nodes = serializers.IntegerField()


class EvidenceShape(Described):
    """Every source apart."""

    measured = RateShape()
    simulated = RateShape()
    attested = RateShape()
    claimed = serializers.DictField(child=serializers.FloatField())
    claim_flags = serializers.ListField(child=serializers.CharField())


class RankedShape(Described):
    """What ranks a pattern."""

    runs = serializers.IntegerField()
    successes = serializers.IntegerField()
    floor = serializers.FloatField()


class RatingSummaryShape(Described):
    """Ratings of a pattern."""

    count = serializers.IntegerField()
    shrunk = serializers.FloatField(allow_null=True)


class PatternShape(Described):
    """A pattern in a list."""

    owner = serializers.CharField()
    name = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    description = serializers.CharField(allow_blank=True)
    category = serializers.CharField(allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField())
    mode = serializers.ChoiceField(["executable", "guided"])
    visibility = serializers.ChoiceField(["private", "org", "public"])
    version = serializers.CharField(allow_null=True, help_text="stable, else the newest")
    digest = serializers.CharField(allow_null=True)
    newest = serializers.CharField(allow_null=True)
    yanked = serializers.BooleanField()
    measured = RateShape()
    simulated = RateShape()
    ranked = RankedShape()
    rating = RatingSummaryShape()
    emerging = serializers.BooleanField()
    forks = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    url = serializers.CharField()


class YankedShape(Described):
    """Why a version was withdrawn."""

    at = serializers.DateTimeField()
    reason = serializers.CharField()
    successor = serializers.CharField(allow_null=True)


class VersionLineShape(Described):
    """A version in a list of versions."""

    version = serializers.CharField()
    digest = serializers.CharField()
    mode = serializers.CharField()
    published_by = serializers.CharField(allow_null=True)
    published_via = serializers.CharField()
    published_at = serializers.DateTimeField()
    yanked = YankedShape(allow_null=True)
    channels = serializers.ListField(child=serializers.CharField())


class VersionShape(Described):
    """A version without its text."""

    pattern = serializers.CharField()
    version = serializers.CharField()
    digest = serializers.CharField()
    semantic_digest = serializers.CharField(allow_blank=True)
    document_digest = serializers.CharField()
    script_number = serializers.IntegerField(allow_null=True)
    envelope = serializers.CharField()
    mode = serializers.CharField()
    program_hash = serializers.CharField(allow_null=True)
    title = serializers.CharField(allow_blank=True)
    description = serializers.CharField(allow_blank=True)
    author = serializers.CharField(allow_blank=True)
    license = serializers.CharField(allow_blank=True)
    inputs = serializers.ListField(child=serializers.DictField())
    events = serializers.ListField(child=serializers.CharField())
    capabilities = serializers.ListField(child=serializers.CharField())
    requires_profiles = serializers.ListField(child=serializers.CharField())
    success_when = serializers.CharField(allow_blank=True)
    score = serializers.CharField(allow_blank=True)
    adaptive_rules = serializers.ListField(child=serializers.DictField())
    verification = serializers.DictField()
    claims = serializers.DictField()
    claim_flags = serializers.ListField(child=serializers.CharField())
    published_by = serializers.CharField(allow_null=True)
    published_via = serializers.CharField()
    published_at = serializers.DateTimeField()
    provenance = serializers.DictField()
    size_bytes = serializers.IntegerField()
    yanked = YankedShape(allow_null=True)
    url = serializers.CharField()


class PublishedVersionShape(VersionShape):
    """A version of a publish answer."""

    created = serializers.BooleanField()


class DocumentShape(Described):
    """The exact bytes that were sent."""

    digest = serializers.CharField()
    semantic_digest = serializers.CharField(allow_blank=True)
    envelope = serializers.CharField()
    size_bytes = serializers.IntegerField()


class ProfileShape(Described):
    """A stored profile or component."""

    owner = serializers.CharField()
    name = serializers.CharField()
    version = serializers.CharField()
    component_type = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    document_digest = serializers.CharField()
    published_at = serializers.DateTimeField()


class PublishedShape(Described):
    """What publishing gave."""

    document = DocumentShape()
    patterns = PublishedVersionShape(many=True)
    profiles = ProfileShape(many=True)
    problems = ProblemShape(many=True)


class NearDuplicateShape(Described):
    """Another pattern that differs in formatting only."""

    pattern = serializers.CharField()
    version = serializers.CharField()
    digest = serializers.CharField()


class PreviewPatternShape(Described):
    """What one pattern of a source would become."""

    name = serializers.CharField(allow_blank=True)
    title = serializers.CharField(allow_blank=True)
    mode = serializers.CharField()
    digest = serializers.CharField()
    exists = serializers.BooleanField()
    same_as = serializers.CharField(allow_null=True)
    newest = serializers.CharField(allow_null=True)
    bump = serializers.CharField(allow_null=True)
    suggested_version = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField())
    inputs = serializers.ListField(child=serializers.DictField())
    events = serializers.ListField(child=serializers.CharField())
    near_duplicates = NearDuplicateShape(many=True)


class PreviewShape(Described):
    """What publishing would give."""

    ok = serializers.BooleanField()
    envelope = serializers.CharField(allow_null=True)
    digest = serializers.CharField(allow_null=True)
    semantic_digest = serializers.CharField(allow_null=True)
    patterns = PreviewPatternShape(many=True)
    profiles = serializers.ListField(child=serializers.CharField(allow_blank=True))
    problems = ProblemShape(many=True)


class PatternPageShape(Described):
    """A page of patterns."""

    results = PatternShape(many=True)
    next = serializers.CharField(allow_null=True)
    total = serializers.IntegerField(help_text="matches looked at; see capped")
    capped = serializers.BooleanField(help_text="whether there are more than 1,000")
    sort = serializers.CharField()
    sorted_by = serializers.CharField(help_text="the number that orders, in words")
    facets = serializers.DictField(required=False)


class VersionPageShape(Described):
    """A page of versions."""

    results = VersionLineShape(many=True)
    next = serializers.CharField(allow_null=True)


class AnyPageShape(Described):
    """A page of rows."""

    results = serializers.ListField(child=serializers.DictField())
    next = serializers.CharField(allow_null=True)


class ObjectShape(Described):
    """One object."""


class OkShape(Described):
    """It was done."""

    ok = serializers.BooleanField()


# ---------------------------------------------------------------- requests


class SearchQuery(serializers.Serializer[Any]):
    """Query parameters of the list of patterns."""

    q = optional(max_length=1000, help_text="words, and filters such as tag:x owner:y performance.avg_score > 0.7")
    tag = serializers.ListField(child=serializers.CharField(max_length=64), required=False)
    owner = optional()
    mode = optional()
    category = optional()
    sort = optional(help_text="best, rating, used, emerging, new or name")
    limit = optional()
    cursor = optional()
    facets = serializers.BooleanField(required=False, default=True)


class PublishBody(Body):
    """A source and what is not in it."""

    source = serializers.CharField(
        max_length=MAX_SOURCE, trim_whitespace=False, help_text="the document, exactly as it is to be kept"
    )
    owner = optional(help_text="whose name it stands under; your own by default")
    name = optional(help_text="of the pattern; the document's by default")
    version = optional(help_text="semver; the document's, else the smallest admissible bump")
    visibility = optional(help_text="private, org or public")
    file = optional(help_text="a file name, for messages")


class EditBody(Body):
    """What may be changed of a pattern."""

    title = optional(required=False)
    description = optional(max_length=20_000)
    tags = serializers.ListField(child=serializers.CharField(max_length=64), required=False, max_length=32)
    visibility = optional()


class YankBody(Body):
    """Why a version is withdrawn."""

    reason = serializers.CharField(max_length=2000)
    successor = optional(help_text="a version of this pattern, or owner/name@version")


class ForkBody(Body):
    """Where a fork goes."""

    owner = optional()
    name = optional()
    version = optional(help_text="what is forked: a version or channel; stable by default")
    visibility = optional()
    reason = optional(max_length=2000)
    source = serializers.CharField(max_length=MAX_SOURCE, trim_whitespace=False, required=False)


class AdaptBody(Body):
    """The situation a pattern is adapted to."""

    context = serializers.DictField(required=False, default=dict)
    inputs = serializers.DictField(required=False, default=dict)
    owner = optional()
    name = optional()
    version = optional()


class MergeBody(Body):
    """What is merged into the pattern."""

    theirs = serializers.CharField(max_length=300, help_text="owner/name@version")
    version = optional(help_text="ours; stable by default")
    base = optional(max_length=300, help_text="owner/name@version; the common ancestor by default")
    choices = serializers.DictField(
        child=serializers.ChoiceField(["ours", "theirs", "both"]), required=False, default=dict
    )


class ChannelBody(Body):
    """Where a channel moves, or whether it is protected."""

    version = optional()
    reason = optional(max_length=2000)
    expected_revision = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)
    protected = serializers.BooleanField(required=False)


class RatingBody(Body):
    """Stars and words."""

    stars = serializers.IntegerField(min_value=1, max_value=5)
    words = optional(max_length=5000)
    version = optional(help_text="the version you mean; stable by default")


class CommentBody(Body):
    """A contribution to the discussion."""

    text = serializers.CharField(max_length=5000)
    version = optional()
    parent = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**53)


class ReportBody(Body):
    """What the moderators should look at."""

    reason = serializers.CharField(max_length=5000)
    rating = serializers.IntegerField(required=False, min_value=1, max_value=2**53)
    comment = serializers.IntegerField(required=False, min_value=1, max_value=2**53)


class ResolveBody(Body):
    """What became of a report."""

    uphold = serializers.BooleanField()
    note = optional(max_length=5000)


class DecisionBody(Body):
    """One decision."""

    decision_type = serializers.CharField(max_length=200)
    context = serializers.DictField(required=False, default=dict)
    rationale = optional(max_length=5000)
    outcome = optional(max_length=5000)
    succeeded = serializers.BooleanField(required=False, allow_null=True, default=None)
    confidence = serializers.FloatField(required=False, allow_null=True, min_value=0, max_value=1, default=None)
    version = optional()


class ExportBody(Body):
    """What an export is called."""

    owner = optional()
    name = optional()
    version = optional()
    learnings = serializers.ListField(child=serializers.CharField(max_length=1000), required=False, max_length=50)


class RecommendQuery(serializers.Serializer[Any]):
    """The situation to recommend for."""

    task = optional(max_length=500)
    model = optional()
    tags = optional(max_length=500, help_text="separated by commas")
    incumbent = optional(max_length=140, help_text="owner/name in use now")
    explore = serializers.BooleanField(required=False, default=False)
    limit = serializers.IntegerField(required=False, default=10, min_value=1, max_value=50)


class BulkBody(Body):
    """What to read at once."""

    references = serializers.ListField(
        child=serializers.CharField(max_length=300), max_length=200, help_text="owner/name[@version] or digests"
    )
    source = serializers.BooleanField(required=False, default=False, help_text="whether to send the texts too")


class TokenBody(Body):
    """A token to be made."""

    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(child=serializers.CharField(max_length=20), max_length=10)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class OwnerBody(Body):
    """An organisation to be made."""

    name = serializers.CharField(max_length=64)
    title = optional()


class MemberBody(Body):
    """A person's role."""

    role = serializers.ChoiceField(["admin", "publisher", "member"])


class DraftBody(Body):
    """A text not yet published."""

    source = serializers.CharField(max_length=MAX_SOURCE, trim_whitespace=False, allow_blank=True)
    owner = optional()
    title = optional()
    file = optional()
    expected_revision = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)


class WebhookBody(Body):
    """Whom to tell."""

    url = serializers.CharField(max_length=500)
    events = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, default=list, max_length=50
    )
