from collections.abc import Mapping

from opl.script.builtins.base import Method

METHODS: Mapping[str, Method] = {}
