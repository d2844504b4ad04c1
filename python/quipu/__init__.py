"""Quipu from Python: run a llama-family GGUF model, and read every operation of the run as arrays and tables.

    import quipu
    trace = quipu.trace(prompt="Mia has the red ball. Who has the ball?")
    trace["kq_soft_max-2"]                      # [head, query, key]
    trace.plot_attention(layer=2, head=3)

`quipu.open(path)` opens a trace without the program. Every command of the program is a function that returns its JSON
document: `quipu.inspect(model)`, `quipu.quant_errors(model, as_="Q4_0")`, … docs/python.md describes it all.
"""

from __future__ import annotations

# Nothing is imported before it is asked for: the console script starts in milliseconds, and without NumPy.
# Type checkers take this name for typing's.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ._cache import HOOKS, ActivationCache, Hook
    from ._commands import run
    from ._errors import Missing, NotInTrace, ProgramError, ProgramNotFound, QuipuError, TraceError
    from ._find import find_program
    from ._plots import heat_map, plot_quant_errors
    from ._program import QuipuWarning
    from ._run import run_with_cache, trace
    from ._table import Table
    from ._trace import Trace
    from ._trace import open_trace as open

    attention: Callable[..., Any]
    bench: Callable[..., Any]

_HOMES = {
    "_cache": ("HOOKS", "ActivationCache", "Hook"),
    "_commands": ("run",),
    "_errors": ("Missing", "NotInTrace", "ProgramError", "ProgramNotFound", "QuipuError", "TraceError"),
    "_find": ("find_program",),
    "_plots": ("heat_map", "plot_quant_errors"),
    "_program": ("QuipuWarning",),
    "_run": ("run_with_cache", "trace"),
    "_table": ("Table",),
    "_trace": ("Trace",),
}


def __getattr__(name: str) -> Any:
    if name.startswith("__") and name != "__version__":
        raise AttributeError(name)
    from importlib import import_module

    value: Any = None
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{home}"), name)
    if name == "open":
        from ._trace import open_trace as value
    elif name == "__version__":
        value = _version()
    elif value is None:
        from . import _commands

        if name not in _commands.names():
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = _commands.function(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from . import _commands

    return sorted({*globals(), *(name for names in _HOMES.values() for name in names), "open", *_commands.names()})
