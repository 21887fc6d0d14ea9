"""Reference agents for duelgym: a reward model, an exploration rule, and settings.

``make_agent("ee2024-double_thompson", …)`` or ``make_agent("infomax", "epinet", …)`` makes one
(:func:`duelgym_agents.registry.make_agent`).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duelgym_agents.registry import make_agent

__all__ = ["make_agent"]


def __getattr__(name: str) -> object:
    """Import what makes agents at its first use: rules alone, which are numpy, should not wait for torch."""
    if name == "make_agent":
        from duelgym_agents.registry import make_agent

        return make_agent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
