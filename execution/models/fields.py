"""
How values stand in rows: exact JSON text, and blobs for what is large.

Text and not ``jsonb``: a run replayed from reordered keys would not be the
same run (registry.models.fields says more). A *stored value* is either its
JSON text, or ``@`` and the sha256 hex of the blob that holds the text.
"""

from __future__ import annotations

from registry.models.fields import JsonText, dumps

__all__ = ["JsonText", "dumps"]
