"""
The orchestration language: scripts, programs and the machine.

    >>> from opl.script import compile_script, machine
    >>> found = compile_script("STATE total = 1\\nRETURN total + 1")
    >>> state = machine.start(found.program, inputs={}, seed=7)
    >>> state, effects = machine.step(found.program, state, [{"kind": "start", "at": 0}])
    >>> effects[-1]["result"]
    2
"""

from opl.script import machine
from opl.script.compiler import Compilation, compile_script, program_hash
from opl.script.machine import Limits, check_inputs
from opl.script.outline import outline, tokens

__all__ = [
    "Compilation",
    "Limits",
    "check_inputs",
    "compile_script",
    "machine",
    "outline",
    "program_hash",
    "tokens",
]
