"""Where llama.cpp's tensors have columns for cache cells that hold nothing.

llama.cpp attends to a multiple of 256 cells and masks those past the last position; Quipu attends to the positions
that exist. The size of the cache itself differs too.
"""


def attended_axis(kind, name):
    """The axis, in ggml's order, along which a node counts attended positions; `None` if it does not."""
    scores = ("kq-", "kq_scaled_1-", "kq_tanh-", "kq_scaled_2-", "kq_soft_max-", "v_cont-")
    if name.startswith(scores) or kind == "TRANSPOSE":
        return 0
    if kind in ("VIEW", "PERMUTE") and name.startswith("cache_v_l"):
        return 0
    if kind in ("VIEW", "PERMUTE") and name.startswith("cache_k_l"):
        return 2 if kind == "VIEW" else 1
    return None


def is_whole_cache(kind, name):
    """Whether a node's shape holds the size of the cache."""
    return kind in ("SET_ROWS", "RESHAPE") and name.startswith("cache_")


def removed(kind, name, values, n_positions):
    """`values` (numpy, four axes in reverse order) without the cells past `n_positions`."""
    axis = attended_axis(kind, name)
    return values if axis is None else values.take(range(n_positions), axis=3 - axis)
