"""The same bits with one thread and with two."""

import sqlite3


def blobs_differ(path_a, path_b):
    """Messages about captured tensors that are not the same bytes in two trace files of one run each."""
    a, b = _blobs(path_a), _blobs(path_b)
    if not a or a.keys() != b.keys():
        yield f"{len(a)} recorded tensors with one thread, {len(b)} with two"
    for key in a.keys() & b.keys():
        if a[key] != b[key]:
            yield f"{key}: other bytes with two threads than with one"


def _blobs(path):
    query = """SELECT pass.step, op.seq, op.name, tensor.chunk, tensor.first_element, tensor.data
               FROM tensor JOIN op ON op.id = tensor.op_id JOIN pass ON pass.id = op.pass_id"""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return {tuple(row[:-1]): row[-1] for row in db.execute(query)}
