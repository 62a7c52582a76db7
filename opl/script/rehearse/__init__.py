"""
Rehearsal: a script with scripted or simulated agents on a virtual clock.

Pure: the command line reads the files, this package gets their bytes. It
touches no database, network or clock, and the same arguments always give the
same outcome::

    agents, problems = read_agents(b'agents: {"*": [{reply: approve}]}')
    outcome = rehearse(script_bytes, file="consensus.md", script="4", agents=agents, seed=7)
    outcome.exit_status, outcome.to_json()

Source: docs/language.md, section Rehearsal; docs/decisions/0021-rehearsal-is-plain.md.
"""

from opl.script.rehearse.agents import Cast, Line, Script, read_agents
from opl.script.rehearse.play import Rehearsal, rehearse, rehearse_program
from opl.script.rehearse.terminal import told

__all__ = ["Cast", "Line", "Rehearsal", "Script", "read_agents", "rehearse", "rehearse_program", "told"]
