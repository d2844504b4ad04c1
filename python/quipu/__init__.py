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
    from typing import Any

    from ._cache import HOOKS as HOOKS
    from ._cache import ActivationCache as ActivationCache
    from ._cache import Hook as Hook
    from ._commands import any_command as _any
    from ._commands import run as run
    from ._errors import Missing as Missing
    from ._errors import NotInTrace as NotInTrace
    from ._errors import ProgramError as ProgramError
    from ._errors import ProgramNotFound as ProgramNotFound
    from ._errors import QuipuError as QuipuError
    from ._errors import TraceError as TraceError
    from ._find import find_program as find_program
    from ._map import map as map
    from ._plots import heat_map as heat_map
    from ._plots import plot_quant_errors as plot_quant_errors
    from ._program import QuipuWarning as QuipuWarning
    from ._run import run_with_cache as run_with_cache
    from ._run import trace as trace
    from ._table import Table as Table
    from ._trace import Trace as Trace
    from ._trace import open as open

    __version__: str
    # Every command; a test holds the list against the program's.
    attention = bench = compare = diff = explain_element = explain_format = explain_logit = explain_weight = _any
    explain_operation = export = experts = experts_map = experts_what_if = _any
    gqa = gqa_map = gqa_what_if = graph = inspect = lens = lesson = lesson_back = lesson_cheatsheet = _any
    lesson_check = lesson_export = lesson_hint = lesson_import = lesson_lint = lesson_list = lesson_next = _any
    lesson_play = lesson_progress = lesson_redo = lesson_reset = lesson_skip = lesson_start = lesson_why = _any
    lesson_certificate = lesson_class = lesson_code = lesson_fault = lesson_guess = lesson_review = _any
    ablate_sweep = activations = convert = imatrix = patch_sweep = quant_recommend = vector_make = _any
    merge = ops = perplexity = propagate = quant_blocks = quant_compare = quant_errors = quant_sensitivity = _any
    quant_table = quantize = report = show = sql = step = tokenize = verify = _any

_HOMES = {
    "_cache": ("HOOKS", "ActivationCache", "Hook"),
    "_commands": ("run",),
    "_errors": ("Missing", "NotInTrace", "ProgramError", "ProgramNotFound", "QuipuError", "TraceError"),
    "_find": ("find_program",),
    "_map": ("map",),
    "_plots": ("heat_map", "plot_quant_errors"),
    "_program": ("QuipuWarning",),
    "_run": ("run_with_cache", "trace"),
    "_table": ("Table",),
    "_trace": ("Trace", "open"),
}


def __getattr__(name: str) -> Any:
    if name.startswith("_") and name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: Any = None
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home:
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{home}"), name)
    elif name == "__version__":
        from ._find import version

        value = version()
    else:
        from . import _commands

        if name not in _commands.names():
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = _commands.function(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from . import _commands

    return sorted({*globals(), *(name for names in _HOMES.values() for name in names), *_commands.names()})
