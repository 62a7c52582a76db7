"""What was answered before: nonces that are used up, and pushes with the answer they got."""

from __future__ import annotations

from django.db import models

from federation.models.peer import Peer


class Nonce(models.Model):
    """A nonce of a signed request; a second one is a replay."""

    keyid = models.CharField(max_length=32)
    nonce = models.CharField(max_length=64)
    keep_until = models.PositiveBigIntegerField(help_text="Seconds since the epoch.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["keyid", "nonce"], name="federation_nonce_once")]
        indexes = [models.Index(fields=["keep_until"], name="federation_nonce_old")]

    def __str__(self) -> str:
        return f"{self.keyid[:8]} {self.nonce[:8]}"


class PushReceipt(models.Model):
    """The stored answer to one push transaction."""

    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="receipts")
    txn = models.CharField(max_length=64)
    body_sha256 = models.CharField(max_length=64)
    answer = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["peer", "txn"], name="federation_txn_once")]

    def __str__(self) -> str:
        return f"push {self.txn} of {self.peer_id}"
