"""
The orchestration pattern language: documents, scripts and the machine that runs them.

Everything in this package is a pure function of its arguments: no Django, no
network, no clock, no files. What comes from the world (time, chance, answers)
is passed in, and what should happen in the world is returned.
"""
