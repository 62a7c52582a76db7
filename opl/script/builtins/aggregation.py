"""."""

from opl.script.builtins.base import Registry

registry = Registry("aggregation")
