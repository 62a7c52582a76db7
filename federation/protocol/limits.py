"""
How much a node takes, at most: the numbers every node advertises.

They are limits of the protocol, not of a deployment; a node may not lower
them and stay compatible. Sizes are bytes.

Source: OPL-Fed/1, "Limits" and "Requests and answers".
"""

from __future__ import annotations

from types import MappingProxyType

KIB = 1024
MIB = 1024 * KIB

SOURCE_BYTES = 256 * KIB  # of a document, as UTF-8
YAML_DEPTH = 32
YAML_NODES = 20_000
STATEMENT_BYTES = 512 * KIB  # of the decoded payload
EQUIVOCATION_BYTES = 3 * MIB // 2  # a proof carries two statements
SIGNATURES = 16  # per statement
PARENTS = 16  # per release
TOPICS = 32  # per release
PAGE_ITEMS = 500
PAGE_DEFAULT = 100
PAGE_BYTES = 4 * MIB
PUSH_ITEMS = 100
HAVE_IDS = 1_000
FETCH_IDS = 500  # of POST /statements
WAIT_SECONDS = 30
SEGMENT_ITEMS = 5_000
SEGMENT_BYTES = 64 * MIB  # of one segment, unpacked; what would be larger is read by pages
FRAME_BYTES = 64 * KIB  # of one reconciliation message
HOPS = 4
REQUEST_LIFE_SECONDS = 300  # expires - created
CLOCK_TOLERANCE_SECONDS = 30
NONCE_GRACE_SECONDS = 30  # a nonce is kept until expires + this
TXN_KEPT_SECONDS = 24 * 3600
CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
WAIT_GRACE_SECONDS = 5.0  # read time-out while waiting: wait + this
TOTAL_SECONDS = 60.0
PEER_REQUESTS_PER_HOUR = 5  # and address

ADVERTISED: MappingProxyType[str, int] = MappingProxyType(
    {
        "source_bytes": SOURCE_BYTES,
        "yaml_depth": YAML_DEPTH,
        "yaml_nodes": YAML_NODES,
        "statement_bytes": STATEMENT_BYTES,
        "page_items": PAGE_ITEMS,
        "page_bytes": PAGE_BYTES,
        "push_items": PUSH_ITEMS,
        "have_ids": HAVE_IDS,
        "wait_seconds": WAIT_SECONDS,
    }
)
