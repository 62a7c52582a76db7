"""A proxy kills nobody any more once the weather has cleared."""

from __future__ import annotations

import pytest

from tests.federation.chaos.proxy import Fault, Proxy, Weather

EAST = b"e" * 32
REQUEST = b'GET / HTTP/1.1\r\nSignature-Input: sig1=();keyid="%s"\r\n\r\n' % EAST


class TestAKill:
    @pytest.mark.parametrize(
        ("fault", "victim"), [(Fault.CALLEE_KILLED, "north"), (Fault.CALLER_KILLED, "east"), (Fault.ANSWER_CUT, None)]
    )
    def test_hits_whom_the_fault_says_and_only_in_bad_weather(self, fault: Fault, victim: str | None) -> None:
        killed: list[str] = []
        proxy = Proxy("north", 1, Weather(is_bad=True), killed.append, {EAST.decode(): "east"})

        assert proxy._kill(fault, REQUEST)
        assert killed == ([victim] if victim else [])

        proxy.weather.clear()
        assert proxy._kill(fault, REQUEST) is (victim is None)
        assert len(killed) == (victim is not None)

    def test_needs_a_caller_that_is_known(self) -> None:
        killed: list[str] = []
        proxy = Proxy("north", 1, Weather(is_bad=True), killed.append, {})

        assert not proxy._kill(Fault.CALLER_KILLED, REQUEST)
        assert not killed
