"""
Pictures as text: pure functions from numbers to SVG strings.

Every picture carries a title and a description, uses the classes of
``static/hub.css`` instead of colours (so it follows light and dark), has no
style attributes (the content security policy would drop them) and no ids (two
of them may stand on one page). A template shows the numbers beside or behind it.
"""
