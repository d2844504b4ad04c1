"""A trace under the names of TransformerLens.

Arrays have the axes that TransformerLens gives them, with a batch of one: `blocks.3.attn.hook_pattern` is
`[batch, head, query, key]`. What differs from TransformerLens on the same model:

- llama.cpp goes on with the last token only after the attention of the last layer, and at the output. There `pos` is 1.
- Keys and values have `n_head_kv` heads, as in TransformerLens with grouped-query attention.
- In files of the llama architecture, the channels of a head's queries and keys are in an order whose rotation pairs
  neighbours, where Hugging Face's pairs halves. Scores and patterns are the same; single channels of `hook_q` and
  `hook_k` are permuted.
- Values are those of the file's quantised weights, on llama.cpp's numerical path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from ._errors import NotInTrace
from ._numpy import np
from ._operations import VIEWS, Operation

if TYPE_CHECKING:
    from ._trace import Trace


@dataclass(frozen=True)
class Hook:
    """A name of TransformerLens.

    Attributes:
        name: with `{layer}` where there is one a layer.
        role: what the value is in the network (docs/trace.md): how the operation is found, whatever it is called.
        tensor: what ggml calls the operation in a llama, as `trace[tensor]` takes it; `< name` is what it rotates.
        axes: of the array, after the batch.
        what: what it holds, if the names do not say it.
    """

    name: str
    role: str
    tensor: str
    axes: str
    what: str = ""


#: The one table of names: TransformerLens's, the role in the network, ggml's, axes.
# fmt: off
HOOKS = (
    Hook("hook_embed", "embedding", "embd", "pos d_model"),
    Hook("blocks.{layer}.hook_resid_pre", "layer_output", "l_out-{before}", "pos d_model", "the stream into the layer"),
    Hook("blocks.{layer}.ln1.hook_normalized", "attention_norm.unweighted", "norm-{layer}#0", "pos d_model"),
    Hook("blocks.{layer}.attn.hook_q", "query", "< Qcur-{layer}", "pos head d_head", "before the rotation"),
    Hook("blocks.{layer}.attn.hook_k", "key", "< Kcur-{layer}", "pos kv_head d_head", "before the rotation"),
    Hook("blocks.{layer}.attn.hook_v", "value", "Vcur-{layer}", "pos kv_head d_head"),
    Hook("blocks.{layer}.attn.hook_rot_q", "query", "Qcur-{layer}", "pos head d_head", "after the rotation"),
    Hook("blocks.{layer}.attn.hook_rot_k", "key", "Kcur-{layer}", "pos kv_head d_head", "after the rotation"),
    Hook("blocks.{layer}.attn.hook_attn_scores", "scores", "kq-{layer}", "head query key", "scaled; -inf where masked"),
    Hook("blocks.{layer}.attn.hook_pattern", "pattern", "kq_soft_max-{layer}", "head query key"),
    Hook("blocks.{layer}.attn.hook_z", "mix", "kqv_out-{layer}", "pos head d_head", "what each head read"),
    Hook("blocks.{layer}.hook_attn_out", "attention_write", "attn_out-{layer}", "pos d_model"),
    Hook("blocks.{layer}.hook_resid_mid", "attention_residual", "ffn_inp-{layer}", "pos d_model"),
    Hook("blocks.{layer}.ln2.hook_normalized", "feed_forward_norm.unweighted", "norm-{layer}#1", "pos d_model"),
    Hook("blocks.{layer}.mlp.hook_pre", "gate", "ffn_gate-{layer}", "pos d_mlp", "before the activation"),
    Hook("blocks.{layer}.mlp.hook_pre_linear", "up", "ffn_up-{layer}", "pos d_mlp"),
    Hook("blocks.{layer}.mlp.hook_post", "activation", "ffn_swiglu-{layer}", "pos d_mlp"),
    Hook("blocks.{layer}.hook_mlp_out", "feed_forward_write", "ffn_out-{layer}", "pos d_model"),
    Hook("blocks.{layer}.hook_resid_post", "layer_output", "l_out-{layer}", "pos d_model", "the stream out of it"),
    Hook("ln_final.hook_normalized", "final_norm.unweighted", "norm", "pos d_model"),
)
# fmt: on

Key = Union[str, tuple[Any, ...]]


class ActivationCache(Mapping[str, np.ndarray]):
    """The values of one pass of a trace under TransformerLens's names.

    `cache["blocks.3.attn.hook_pattern"]` and, as in TransformerLens, `cache["pattern", 3]`, `cache["resid_post", -1]`,
    `cache["normalized", 3, "ln2"]`. Arrays are F32, `[batch, …]`, and read from the trace when they are asked for. The
    names are those whose values the trace holds; `quipu.HOOKS` lists all, with roles and the names of ggml.

    Args:
        trace: the trace.
        step: the pass: 0 is the prompt.
    """

    def __init__(self, trace: Trace, step: int = 0) -> None:
        self.trace, self.step = trace, step
        self.has_batch_dim = True
        self._model = trace.model
        self._named: dict[str, list[Operation]] = {}
        # Empty of traces of schema version 1 to 6: there, names tell.
        self._roles: dict[tuple[str, int | None], list[Operation]] = {}
        for operation in trace._operations.of(step):
            self._named.setdefault(operation.name, []).append(operation)
            if operation.role:
                self._roles.setdefault((operation.role, operation.layer), []).append(operation)
        self._names = self._held()

    def __getitem__(self, key: Key) -> np.ndarray:
        name = self._name(key)
        hook, layer = self._hook(name)
        array = self._shaped(self._array(hook, layer, name), hook.axes)
        return array[np.newaxis] if self.has_batch_dim else array

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, key: object) -> bool:
        try:
            return self._name(key) in self._names  # type: ignore[arg-type]
        except NotInTrace:
            return False

    def __repr__(self) -> str:
        return f"<quipu.ActivationCache of step {self.step} of {self.trace.path!r}: {len(self)} names>"

    def remove_batch_dim(self) -> ActivationCache:
        """From here on arrays come without the batch axis; returns the cache itself."""
        self.has_batch_dim = False
        return self

    @property
    def logits(self) -> np.ndarray:
        """What the model gives for the next token after the last position, `[batch, 1, d_vocab]`."""
        logits = self.trace.values("result_output", self.step)
        return logits[np.newaxis] if self.has_batch_dim else logits

    # Names

    def _name(self, key: Key) -> str:
        """The full name of `("pattern", 3)`."""
        if isinstance(key, str):
            if "." in key or key.startswith("hook_"):
                return key
            key = (key,)
        if not isinstance(key, tuple) or not key or not isinstance(key[0], str):
            raise NotInTrace(f"{key!r} is no name; write 'blocks.3.attn.hook_pattern', or 'pattern', 3")
        short, layer, part = (*key, None, None)[:3]
        layers = self._model["n_layer"]
        if layer is not None:
            if not -layers <= layer < layers:
                raise NotInTrace(f"there is no layer {layer}; there are 0 to {layers - 1}")
            layer %= layers
        ends = ("." + (f"{part}." if part else "") + f"hook_{short}", "." + (f"{part}." if part else "") + short)
        fitting = [
            hook.name.format(layer=layer)
            for hook in HOOKS
            if ("{layer}" in hook.name) == (layer is not None) and ("." + hook.name).endswith(ends)
        ]
        if len(fitting) != 1:
            found = f"it may be {' or '.join(fitting)}" if fitting else "quipu.HOOKS lists the names"
            raise NotInTrace(f"{key!r} is no name of one tensor; {found}")
        return fitting[0]

    def _hook(self, name: str) -> tuple[Hook, int]:
        parts = name.split(".")
        layer = int(parts[1]) if parts[0] == "blocks" and len(parts) > 2 and parts[1].isdigit() else 0
        template = ".".join(["blocks", "{layer}", *parts[2:]]) if parts[0] == "blocks" else name
        for hook in HOOKS:
            if hook.name == template and layer < self._model["n_layer"]:
                return hook, layer
        raise NotInTrace(f"{name!r} is no name of TransformerLens that has a tensor of ggml; quipu.HOOKS lists them")

    def _held(self) -> list[str]:
        held = self.trace._operations.held()
        names = []
        for hook in HOOKS:
            for layer in range(self._model["n_layer"] if "{layer}" in hook.name else 1):
                operation = self._operation(hook, layer)
                while operation is not None and operation.kind in VIEWS:
                    operation = self.trace._values.input(operation)
                if operation is not None and operation.id in held:
                    names.append(hook.name.format(layer=layer))
        return sorted(names, key=lambda name: int(name.split(".")[1]) if name.startswith("blocks") else -1)

    # Values

    def _operation(self, hook: Hook, layer: int) -> Operation | None:
        layer_of_role: int | None = layer if "{layer}" in hook.name else None
        role, tensor = hook.role, hook.tensor
        if hook.name.endswith("hook_resid_pre"):
            # What goes into a layer came out of the one before.
            role, tensor, layer_of_role = (role, tensor, layer - 1) if layer else ("embedding", "embd", None)
        reads_first, name = tensor.startswith("< "), tensor.removeprefix("< ")
        name, _, number = name.format(layer=layer, before=layer - 1).partition("#")
        found = self._roles.get((role, layer_of_role), []) if self._roles else self._named.get(name, [])
        index = -1 if self._roles or not number else int(number)
        if not found or index >= len(found):
            return None
        operation = found[index]
        # What is not rotated has no rotation's input, and no rotated form.
        is_rotated = operation.kind == "ROPE"
        if ".hook_rot_" in hook.name and not is_rotated:
            return None
        return self.trace._values.input(operation) if reads_first and is_rotated else operation

    def _array(self, hook: Hook, layer: int, name: str) -> np.ndarray:
        operation = self._operation(hook, layer)
        if operation is None:
            raise NotInTrace(f"{name!r}: step {self.step} has no operation for it; list(cache) has the names")
        array = self.trace._values.of(operation)
        if not name.endswith("hook_attn_scores"):
            return array
        # What ggml's SOFT_MAX does with `kq` before it takes the softmax.
        pattern = self._operation(next(hook for hook in HOOKS if hook.role == "pattern"), layer)
        scale = json.loads(pattern.params)["scale"] if pattern else 1
        query, key = np.ogrid[: array.shape[-2], : array.shape[-1]]
        is_masked = key > query + self.trace.first_position(self.step)
        return np.where(is_masked, np.float32(-np.inf), array * np.float32(scale))

    def _shaped(self, array: np.ndarray, axes: str) -> np.ndarray:
        sizes = {
            "head": self._model["n_head"],
            "kv_head": self._model["n_head_kv"],
            "d_head": self._model["head_dim"],
            "d_model": self._model["n_embd"],
        }
        if axes == "head query key":
            return array.reshape(sizes["head"], *array.shape[-2:])
        if axes == "pos d_mlp":
            return array
        return array.reshape([sizes.get(axis, -1) for axis in axes.split()])
