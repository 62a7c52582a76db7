"""Large values, content-addressed: equal values are stored once, whoever holds them."""

from __future__ import annotations

from django.db import models


class Blob(models.Model):
    """One value of 512 bytes or more; ``digest`` is the sha256 of its JSON text."""

    digest = models.CharField(max_length=64, primary_key=True)
    size_bytes = models.PositiveIntegerField(help_text="Of the text, before compression.")
    data = models.BinaryField(help_text="The text, compressed with zstandard.")
    unused_since = models.BigIntegerField(
        null=True, help_text="Milliseconds: when a pruning found that nobody holds it."
    )

    def __str__(self) -> str:
        return f"{self.digest[:12]} ({self.size_bytes} bytes)"
