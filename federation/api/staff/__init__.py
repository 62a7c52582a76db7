"""Peers, quarantine and blocked authors below ``/api/v1/``, for staff: what the pages and the commands do."""
