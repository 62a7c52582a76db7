"""Addresses of the federation's pages: ``federation:…``, below /peers/ but for the preview of one pattern."""

from __future__ import annotations

from django.urls import URLPattern, path

from federation.web.pages import page
from federation.web.views import blocked, node, peers, quarantine, records, sending

app_name = "federation"

urlpatterns: list[URLPattern] = [
    path("peers/", page(peers.peers), name="peers"),
    path("peers/add/", page(peers.add), name="add"),
    path("peers/quarantine/", page(quarantine.quarantine), name="quarantine"),
    path("peers/quarantine/<int:item_id>/", page(quarantine.item), name="item"),
    path("peers/quarantine/<int:item_id>/approve/", page(quarantine.decide), {"what": "approve"}, name="approve"),
    path("peers/quarantine/<int:item_id>/reject/", page(quarantine.decide), {"what": "reject"}, name="reject"),
    path("peers/quarantine/<int:item_id>/block/", page(quarantine.decide), {"what": "block"}, name="block-author"),
    path("peers/quarantine/<int:item_id>/try/", page(quarantine.request_trial), name="try"),
    path("peers/blocked/", page(blocked.blocked), name="blocked"),
    path("peers/blocked/add/", page(blocked.block), name="block"),
    path("peers/blocked/<str:author_id>/unblock/", page(blocked.unblock), name="unblock"),
    path("peers/why/", page(records.why), name="why"),
    path("peers/outgoing/", page(sending.outgoing), name="outgoing"),
    path("peers/withdrawn/", page(records.withdrawn), name="withdrawn"),
    path("peers/dead-letters/", page(records.dead_letters), name="dead-letters"),
    path("peers/dead-letters/retry/", page(records.retry), name="retry"),
    path("peers/statistics/", page(records.statistics), name="statistics"),
    path("peers/statements/<str:statement_id>.json", page(records.envelope), name="envelope"),
    path("peers/node/", page(node.node), name="node"),
    path("peers/node/create/", page(node.create), name="create-node"),
    path("peers/node/rotate/", page(node.rotate), name="rotate"),
    path("peers/node/switch/", page(node.switch), name="switch"),
    path("peers/<str:node_id>/", page(peers.peer), name="peer"),
    path("peers/<str:node_id>/tier/", page(peers.change_tier), name="tier"),
    path("peers/<str:node_id>/pause/", page(peers.pause), name="pause"),
    path("peers/<str:node_id>/sync/", page(peers.sync), name="sync"),
    path("patterns/<str:owner>/<str:name>/egress/", page(sending.egress), name="egress"),
]
