"""Pictures, where matplotlib is installed. Colour maps are readable for the colour-blind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ._errors import QuipuError, need

if TYPE_CHECKING:
    from ._trace import Trace


def _pyplot() -> Any:
    return need("matplotlib.pyplot", "a picture")


def heat_map(ax: Any, values: Any, title: str = "", unit: str = "", **options: Any) -> Any:
    """A table of numbers as a picture with its scale.

    Args:
        ax: matplotlib's axes.
        values: `[row, column]`.
        unit: what the numbers are, written beside the scale.
        options: passed to `imshow`.
    """
    image = ax.imshow(values, aspect="auto", cmap=options.pop("cmap", "cividis"), **options)
    ax.locator_params(integer=True)
    ax.set_title(title)
    ax.figure.colorbar(image, ax=ax, label=unit)
    return image


def plot_attention(trace: Trace, layer: int, head: int | None, step: int, ax: Any) -> Any:
    plt = _pyplot()
    patterns = trace.attention(layer, step=step)
    if head is None:
        if ax is not None:
            raise QuipuError("ax is the axes of one head; name it, or leave ax out for a picture of all heads")
        columns = math.ceil(math.sqrt(len(patterns)))
        rows = math.ceil(len(patterns) / columns)
        size = (3 * columns, 3 * rows)
        grid = plt.subplots(rows, columns, squeeze=False, figsize=size, layout="constrained")[1]
        for number, cell in enumerate(grid.flat):
            if number >= len(patterns):
                cell.axis("off")
                continue
            cell.imshow(patterns[number], cmap="cividis", vmin=0, vmax=1)
            cell.set_title(f"layer {layer}, head {number}", fontsize=9)
            cell.set(xticks=[], yticks=[])
        return grid
    pattern = trace.attention(layer, head, step)
    labels = _labels(trace)
    first = trace.first_position(step)
    queries, keys = labels[first : first + pattern.shape[0]], labels[: pattern.shape[1]]
    if ax is None:
        figure_size = (4 + 0.28 * len(keys), 2 + 0.28 * len(queries))
        ax = plt.subplots(figsize=figure_size, layout="constrained")[1]
    heat_map(ax, pattern, f"layer {layer}, head {head}", "share of attention", vmin=0, vmax=1)
    ax.set_xticks(range(len(keys)), keys, rotation=90)
    ax.set_yticks(range(len(queries)), queries)
    ax.set(xlabel="looks at", ylabel="token")
    return ax


def _labels(trace: Trace) -> list[str]:
    rows = trace._rows("SELECT position, piece FROM token WHERE run_id = ? ORDER BY position", trace.run)
    # A $ would begin a formula.
    return [f"{position} {piece!r}".replace("$", r"\$") for position, piece in rows]


def plot_layers(trace: Trace, column: str, step: int, ax: Any) -> Any:
    plt = _pyplot()
    columns, rows = trace._file.rows(
        "SELECT * FROM v_layer WHERE run_id = ? AND step = ? ORDER BY layer", [trace.run, step]
    )
    if column not in columns:
        raise QuipuError(f"there is no column {column!r}; the columns are {', '.join(columns)}")
    layers, values = ([row[columns.index(name)] for row in rows] for name in ("layer", column))
    ax = ax or plt.subplots(figsize=(7, 3), layout="constrained")[1]
    ax.bar(layers, [math.nan if value is None else value for value in values])
    ax.set(xlabel="layer", ylabel=column, xticks=layers)
    return ax


def plot_quant_errors(document: dict[str, Any], ax: Any = None) -> Any:
    """The relative error of each layer, a line for each format, from the document of `quipu.quant_errors`.

    Returns:
        The axes: layers, and the root mean square of the error over that of the weights, in percent.
    """
    plt = _pyplot()
    if not document.get("layers"):
        raise QuipuError("this is no document of quipu.quant_errors, or of a model without layers")
    ax = ax or plt.subplots(figsize=(7, 3.5), layout="constrained")[1]
    formats: dict[str, list[tuple[int, float]]] = {}
    for row in document["layers"]:
        formats.setdefault(row["type"], []).append((row["layer"], 100 * row["rel_rmse"]))
    for (name, points), marker in zip(formats.items(), "os^Dv<>ph*" * 10):
        ax.semilogy(*zip(*sorted(points)), marker=marker, label=name)
    ax.set(xlabel="layer", ylabel="relative error, %", xticks=sorted({row["layer"] for row in document["layers"]}))
    ax.legend()
    return ax
