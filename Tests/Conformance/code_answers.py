"""A right program for each code task of the course, and wrong ones: the right one with a part replaced, as (before,
after). Written without the tasks' own lists of mistakes; `code_conformance.py` hands them in.
"""

Q4_0 = '''
def decode(block):
    scale = float(block[:2].view(np.float16)[0])
    values = np.zeros(32)
    for i in range(16):
        byte = int(block[2 + i])
        values[i] = scale * ((byte & 15) - 8)
        values[i + 16] = scale * ((byte >> 4) - 8)
    return values
'''

Q4_1 = '''
def decode(block):
    scale = float(block[:2].view(np.float16)[0])
    minimum = float(block[2:4].view(np.float16)[0])
    values = np.zeros(32)
    for i in range(16):
        byte = int(block[4 + i])
        values[i] = scale * (byte & 15) + minimum
        values[i + 16] = scale * (byte >> 4) + minimum
    return values
'''

Q8_0 = '''
def encode(x):
    peak = np.max(np.abs(x))
    d = np.float32(peak / 127)
    codes = np.round(x / d) if d > 0 else np.zeros(32)
    block = np.zeros(34, np.uint8)
    block[:2] = np.array([d]).astype(np.float16).view(np.uint8)
    block[2:] = codes.astype(np.int8).view(np.uint8)
    return block
'''

Q4_K = '''
def decode(block):
    d = float(block[0:2].view(np.float16)[0])
    dmin = float(block[2:4].view(np.float16)[0])
    s = [int(b) for b in block[4:16]]
    values = []
    for j in range(8):
        if j < 4:
            sc = s[j] & 63
            mn = s[j + 4] & 63
        else:
            sc = (s[j + 4] & 15) | ((s[j - 4] >> 6) << 4)
            mn = (s[j + 4] >> 4) | ((s[j] >> 6) << 4)
        for i in range(32):
            byte = int(block[16 + 32 * (j // 2) + i])
            code = byte & 15 if j % 2 == 0 else byte >> 4
            values.append(d * sc * code - dmin * mn)
    return np.array(values)
'''

RMSNORM = '''
def rmsnorm(x, weight, eps):
    y = np.zeros(x.shape)
    for t in range(len(x)):
        squares = [float(v) ** 2 for v in x[t]]
        size = (sum(squares) / len(squares) + eps) ** 0.5
        y[t] = x[t] / size * weight
    return y
'''

SOFTMAX = '''
def shares(scores, scale):
    y = np.zeros(scores.shape)
    for i in range(len(scores)):
        seen = scores[i, :i + 1].astype(float) * scale
        powers = np.exp(seen - seen.max())
        y[i, :i + 1] = powers / powers.sum()
    return y
'''

ROPE = '''
def rope(x, position, base, halves):
    y = np.array(x, float)
    n = x.shape[1]
    for i in range(n // 2):
        a, b = (i, i + n // 2) if halves else (2 * i, 2 * i + 1)
        angle = position * base ** (-2 * i / n)
        c, s = np.cos(angle), np.sin(angle)
        y[:, a] = x[:, a] * c - x[:, b] * s
        y[:, b] = x[:, a] * s + x[:, b] * c
    return y
'''

ATTENTION = '''
def attend(q, k, v, head):
    group = q.shape[1] // k.shape[1]
    kv = head // group
    y = np.zeros((len(q), q.shape[2]))
    for i in range(len(q)):
        scores = np.array([q[i, head] @ k[j, kv] for j in range(i + 1)]) / np.sqrt(q.shape[2])
        powers = np.exp(scores - scores.max())
        weights = powers / powers.sum()
        y[i] = sum(weights[j] * v[j, kv] for j in range(i + 1))
    return y
'''

DOT = '''
def dot(w, x):
    total = 0.0
    for b in range(len(w)):
        dw = float(w[b, :2].copy().view(np.float16)[0])
        dx = float(x[b, :2].copy().view(np.float16)[0])
        qx = x[b, 2:].copy().view(np.int8)
        whole = 0
        for i in range(16):
            byte = int(w[b, 2 + i])
            whole += ((byte & 15) - 8) * int(qx[i])
            whole += ((byte >> 4) - 8) * int(qx[i + 16])
        total += whole * dw * dx
    return total
'''

PERPLEXITY = '''
def perplexity(logits, tokens):
    total = 0.0
    for row, token in zip(logits.astype(float), tokens):
        top = row.max()
        log_sum = top + np.log(np.exp(row - top).sum())
        total += log_sum - row[token]
    return np.exp(total / len(tokens))
'''

LAYER = '''
def norm(x, w, eps):
    return x / np.sqrt(np.mean(x ** 2, axis=1, keepdims=True) + eps) * w


def turn(x, base):
    y, n = np.array(x), x.shape[2]
    for t in range(len(x)):
        for i in range(n // 2):
            angle = t * base ** (-2 * i / n)
            a, b = x[t, :, 2 * i], x[t, :, 2 * i + 1]
            y[t, :, 2 * i] = a * np.cos(angle) - b * np.sin(angle)
            y[t, :, 2 * i + 1] = a * np.sin(angle) + b * np.cos(angle)
    return y


def layer(x, attn_norm, wq, wk, wv, wo, ffn_norm, gate, up, down, heads, kv_heads, base, eps):
    n = len(wq) // heads
    h = norm(x, attn_norm, eps)
    q = turn((h @ wq.T).reshape(len(x), heads, n), base)
    k = turn((h @ wk.T).reshape(len(x), kv_heads, n), base)
    v = (h @ wv.T).reshape(len(x), kv_heads, n)
    found = []
    for head in range(heads):
        kv = head // (heads // kv_heads)
        scores = q[:, head] @ k[:, kv].T / np.sqrt(n)
        scores = np.where(np.tri(len(x)) > 0, scores, -np.inf)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        found.append(powers / powers.sum(axis=1, keepdims=True) @ v[:, kv])
    middle = x + np.concatenate(found, axis=1) @ wo.T
    h = norm(middle, ffn_norm, eps)
    g = h @ gate.T
    hidden = g / (1 + np.exp(-g)) * (h @ up.T)
    return middle + hidden @ down.T
'''

SOLUTIONS = {
    "q4_0": Q4_0, "q4_1": Q4_1, "q8_0": Q8_0, "q4_k": Q4_K, "rmsnorm": RMSNORM, "softmax": SOFTMAX, "rope": ROPE,
    "attention": ATTENTION, "dot": DOT, "perplexity": PERPLEXITY, "layer": LAYER,
}

# Mistakes of any task: what is no answer at all, and what comes to no end.
ANYWHERE = [
    ("    return ", "    forgotten = "), ("def ", "def my_"),
    ("    return ", "    raise NotImplementedError\n    return "),
    ("    return ", "    return undefined_name + "), ("    return ", "    return str("), ("    return ", "    return 5j + "),
]

WRONG = {
    "q4_0": [
        ("byte & 15) - 8", "byte & 15)"), ("- 8)", "- 7)"), ("- 8)", "- 16)"), ("- 8)", "+ 8)"), ("scale * (", "("),
        ("byte & 15", "byte >> 4"), ("byte >> 4", "byte & 15"), ("byte >> 4", "byte >> 3"), ("i + 16", "31 - i"),
        ("values[i] ", "values[2 * i] "), ("block[2 + i]", "block[1 + i]"), ("block[2 + i]", "block[17 - i]"),
        ("np.zeros(32)", "np.zeros(33)"), ("float16", "uint16"), ("block[:2].view", "block[:2][::-1].copy().view"),
        ("scale * (", "abs(scale) * ("), ("return values", "return values.reshape(2, 16)"),
        ("return values", "return values[::-1]"), ("return values", "return values.astype(int)"),
        ("range(16)", "range(15)"), ("byte & 15", "byte & 7"), ("return values", "return list(values[:16])"),
        ("return values", "return -values"), ("return values", "return values / 2"),
    ],
    "q4_1": [
        ("+ minimum", "- minimum"), ("+ minimum", ""), ("(byte & 15)", "((byte & 15) - 8)"),
        ("+ minimum", "+ abs(minimum)"), ("block[2:4]", "block[:2]"), ("block[:2]", "block[2:4]"),
        ("scale * (byte", "(byte"), ("byte & 15", "byte >> 4"), ("byte >> 4", "byte & 15"),
        ("values[i + 16]", "values[31 - i]"), ("block[4 + i]", "block[2 + i]"), ("float16", "uint16"),
        ("range(16)", "range(8)"), ("return values", "return values.reshape(32, 1)"),
        ("return values", "return values[::-1]"), ("+ minimum", "+ minimum * scale"), ("+ minimum", "* minimum"),
        ("block[2:4].view", "block[2:4][::-1].copy().view"), ("return values", "return np.abs(values)"),
        ("return values", "return values + 1"), ("byte & 15)", "15 - (byte & 15))"),
        ("return values", "return values * 0"),
    ],
    "q8_0": [
        ("x / d)", "x / np.float16(d))"),
        ("/ 127", "/ 128"), ("/ 127", "/ 255"), ("/ 127", "/ 126"), ("np.round", "np.trunc"),
        ("np.round", "np.floor"), ("np.round", "np.ceil"), ("np.max(np.abs(x))", "np.max(x)"),
        ("np.max(np.abs(x))", "np.abs(np.min(x))"), ("np.max(np.abs(x))", "np.mean(np.abs(x))"),
        ("np.max(np.abs(x))", "np.max(x) - np.min(x)"), ("x / d", "x * d"), ("else np.zeros(32)", "else np.ones(32)"),
        ("np.array([d])", "np.array([1 / d])"),
        (".view(np.uint8)\n    block[2:]", ".view(np.uint8)[::-1]\n    block[2:]"),
        ("codes.astype", "(codes + 128).astype"), ("codes.astype", "np.abs(codes).astype"),
        ("codes.astype", "codes[::-1].astype"), ("return block", "return block.view(np.int8)"),
        ("return block", "return block[2:]"), ("return block", "return codes"), ("block[2:] =", "block[:32] ="),
        ("np.array([d])", "np.array([peak])"), ("np.float32(peak", "np.float32(2 * peak"),
    ],
    "q4_k": [
        ("- dmin * mn", "+ dmin * mn"), ("- dmin * mn", ""), ("- dmin * mn", "- dmin"), ("- dmin * mn", "- mn"),
        ("d * sc * code", "sc * code"), ("d * sc * code", "d * code"), ("block[2:4]", "block[0:2]"),
        ("((s[j - 4] >> 6) << 4)", "0"), ("((s[j] >> 6) << 4)", "0"), ("(s[j + 4] & 15)", "(s[j + 4] >> 4)"),
        ("s[j - 4] >> 6", "s[j] >> 6"), ("s[j] & 63", "s[j]"), ("s[j + 4] & 63", "s[j + 4]"),
        ("<< 4)\n            mn", "<< 3)\n            mn"),
        ("byte & 15 if j % 2 == 0 else byte >> 4", "byte >> 4 if j % 2 == 0 else byte & 15"),
        ("32 * (j // 2) + i", "16 * j + i // 2"), ("j % 2 == 0", "i % 2 == 0"), ("j % 2 == 0", "j < 4"),
        ("* code -", "* (code - 8) -"), ("block[4:16]", "block[2:14]"), ("16 + 32 *", "14 + 32 *"),
        ("sc * code", "sc / 63 * code"), ("return np.array(values)", "return np.array(values).reshape(8, 32)"),
        ("range(8)", "range(4)"),
    ],
    "rmsnorm": [
        (" + eps)", ")"), (" + eps) ** 0.5", ") ** 0.5 + eps"),
        ("** 0.5", ""), ("/ len(squares)", ""), ("/ size", "* size"), (" * weight", ""),
        (" * weight", " * (1 + weight)"), (" * weight", " / weight"), (" * weight", " + weight"), ("** 2", "** 1"),
        ("float(v) ** 2", "abs(float(v))"), ("float(v) ** 2", "(float(v) - x[t].mean()) ** 2"),
        ("x[t] / size", "(x[t] - x[t].mean()) / size"), ("x[t] / size", "x[0] / size"), ("in x[t]]", "in x[:, t]]"),
        ("in x[t]]", "in x.reshape(-1)]"), ("+ eps)", "+ 1)"), ("+ eps)", "+ eps) + 1000 * (eps)"),
        ("** 0.5", "** 0.25"), ("return y", "return y.T"), ("return y", "return y[0]"),
        ("range(len(x))", "range(len(x) - 1)"), ("return y", "return y * 0 + 1"),
        ("/ size * weight", "/ np.abs(x[t]).max() * weight"), ("return y", "return -y"),
    ],
    "softmax": [
        (":i + 1]", ":]"), (":i + 1]", ":i + 2]"), ("* scale", ""), ("* scale", "/ scale"),
        ("* scale", "* scale * scale"), ("np.exp", "np.exp2"), ("/ powers.sum()", ""),
        ("/ powers.sum()", "/ powers.max()"), ("np.exp(seen - seen.max())", "seen"),
        ("- seen.max()", "- 2 * seen.max() + seen"), ("np.exp", "np.expm1"),
        ("powers / powers.sum()", "np.log(powers / powers.sum())"), ("return y", "return y.T"),
        ("return y", "return np.tril(np.ones_like(y)) / len(y)"), ("return y", "return y.sum(axis=1)"),
        ("scores[i,", "scores[0,"), ("scores[i,", "scores.T[i,"), ("y[i, :i + 1]", "y[:i + 1, i]"),
        ("return y", "return np.round(y)"), ("np.exp(seen", "np.exp(-seen"), ("return y", "return y[::-1]"),
        ("return y", "return y ** 2"), ("range(len(scores))", "range(1, len(scores))"),
    ],
    "rope": [
        ("c - x[:, b] * s", "c + x[:, b] * s"), ("* s + x", "* s - x"), ("if halves", "if not halves"),
        ("(i, i + n // 2) if halves else (2 * i, 2 * i + 1)", "(2 * i, 2 * i + 1)"),
        ("(i, i + n // 2) if halves else (2 * i, 2 * i + 1)", "(i, i + n // 2)"), ("-2 * i", "-i"),
        ("-2 * i", "2 * i"), ("-2 * i", "-4 * i"), ("position * base", "(position + 1) * base"),
        ("position * base", "base"), ("/ n)", "/ x.size)"), ("/ n)", "/ (n // 2))"), ("-2 * i / n", "0"),
        ("np.cos(angle), np.sin(angle)", "np.sin(angle), np.cos(angle)"),
        ("np.cos(angle), np.sin", "np.cos(np.degrees(angle)), np.sin"), ("y = np.array(x, float)", "y = x"),
        ("range(n // 2)", "range(n // 4)"), ("range(n // 2)", "range(1, n // 2)"),
        ("n = x.shape[1]", "n = x.shape[0] * 2"), ("y[:, b] =", "y[:, a] ="), ("return y", "return y.T"),
        ("return y", "return y[0]"), ("return y", "return -y"), ("base **", "1e6 **"),
    ],
    "attention": [
        ("head // group", "head % k.shape[1]"), ("head // group", "0"), ("head // group", "head % group"),
        ("head // group", "head"), ("range(i + 1)", "range(len(q))"), ("range(i + 1)", "range(max(1, i))"),
        ("/ np.sqrt(q.shape[2])", ""), ("np.sqrt(q.shape[2])", "q.shape[2]"),
        ("/ np.sqrt(q.shape[2])", "* np.sqrt(q.shape[2])"),
        ("np.sqrt(q.shape[2])", "np.sqrt(q.shape[1] * q.shape[2])"), ("np.sqrt(q.shape[2])", "np.sqrt(q.shape[1])"),
        ("* v[j, kv]", "* k[j, kv]"), ("* v[j, kv]", "* v[j, 0]"), ("* v[j, kv]", "* v[i, kv]"),
        ("powers / powers.sum()", "powers"), ("powers / powers.sum()", "scores"), ("np.exp(", "np.exp2("),
        ("q[i, head] @", "q[0, head] @"), ("q[i, head] @", "q[-1, head] @"),
        ("q[i, head] @ k[j, kv]", "q[j, head] @ k[i, kv]"), ("return y", "return y.T"),
        ("return y", "return y.reshape(-1)"), ("return y", "return y[-1]"),
        ("weights[j] * v[j, kv] for j", "v[j, kv] / (i + 1) for j"),
    ],
    "dot": [
        ("& 15) - 8", "& 15)"), (">> 4) - 8", ">> 4)"), ("- 8)", "- 7)"), ("- 8)", ")"), ("byte & 15", "byte >> 4"),
        ("np.int8", "np.uint8"), ("* dw * dx", "* dx"), ("* dw * dx", "* dw"), ("* dw * dx", ""),
        ("* dw * dx", "* (dw + dx)"), ("total += whole", "total = whole"), ("range(len(w))", "range(1)"),
        ("range(len(w))", "range(1, len(w))"), ("return total", "return total / len(w)"), ("w[b, :2]", "w[0, :2]"),
        ("x[b, :2]", "x[0, :2]"), ("qx[i + 16]", "qx[i]"), ("qx[i + 16]", "qx[2 * i + 1]"), ("range(16)", "range(8)"),
        ("whole = 0", "whole = 32"), ("return total", "return 32 * total"), ("return total", "return int(total)"),
        ("return total", "return np.array([total])"), ("float16", "uint16"), ("int(qx[i])", "(int(qx[i]) - 8)"),
        ("return total", "return abs(total) + 1"),
    ],
    "perplexity": [
        ("total / len(tokens)", "total"), ("np.exp(total / len(tokens))", "total / len(tokens)"),
        ("np.exp(total", "np.exp(-total"), ("np.exp(total / len(tokens))", "2 ** (total / len(tokens))"),
        ("log_sum - row[token]", "-row[token]"), ("log_sum - row[token]", "log_sum - row.max()"),
        ("row[token]", "row[0]"), ("len(tokens))", "(len(tokens) - 1))"),
        ("zip(logits.astype(float), tokens)", "zip(logits.astype(float)[:1], tokens)"),
        ("zip(logits.astype(float), tokens)", "zip(logits.astype(float), tokens[1:])"), ("np.log(", "np.log2("),
        ("np.log(", "np.log10("), ("total += log_sum - row[token]", "total += np.exp(log_sum - row[token])"),
        ("total += log_sum", "total = log_sum"), ("np.exp(row - top).sum()", "np.exp(row - top).mean()"),
        ("top + np.log", "np.log"), ("return np.exp", "return 1 / np.exp"), ("len(tokens))", "logits.size)"),
        ("total += log_sum", "total += 2 * log_sum"),
        ("total += log_sum - row[token]", "total += (log_sum - row[token]) ** 2"),
        ("return np.exp(total / len(tokens))", "return np.array([np.exp(total / len(tokens))])"),
        ("row - top", "row"), ("return np.exp(total", "return np.exp(0 * total"),
        ("zip(logits.astype(float), tokens)", "zip(logits.astype(float)[::-1], tokens)"),
    ],
    "layer": [
        ("h = norm(x, attn_norm, eps)", "h = x"), ("h = norm(middle, ffn_norm, eps)", "h = middle"),
        ("middle = x + ", "middle = "), ("return middle + hidden", "return hidden"),
        ("return middle + ", "return x + "), ("norm(middle, ffn_norm", "norm(x, ffn_norm"),
        ("norm(middle, ffn_norm", "norm(middle, attn_norm"),
        ("turn((h @ wq.T).reshape(len(x), heads, n), base)", "(h @ wq.T).reshape(len(x), heads, n)"),
        ("head // (heads // kv_heads)", "head % kv_heads"), ("/ np.sqrt(n)", ""),
        ("np.tri(len(x)) > 0", "np.tri(len(x)) >= 0"),
        ("np.tri(len(x)) > 0", "np.tri(len(x), k=-1) + (np.arange(len(x)) == 0) > 0"),
        ("g / (1 + np.exp(-g)) *", "1 / (1 + np.exp(-g)) *"), ("g / (1 + np.exp(-g)) *", "np.maximum(g, 0) *"),
        ("g / (1 + np.exp(-g)) *", "g *"), ("* (h @ up.T)", ""), ("g = h @ gate.T", "g = h @ up.T"),
        ("(h @ up.T)", "(h @ gate.T)"), ("a * np.cos(angle) - b", "a * np.cos(angle) + b"), ("-2 * i / n", "-i / n"),
        ("angle = t *", "angle = (len(x) - t) *"), ("v = (h @ wv.T)", "v = (h @ wk.T)"),
        ("@ v[:, kv])", "@ v[:, 0])"), ("return middle + hidden @ down.T", "return middle"),
        ("return middle + hidden @ down.T", "return (middle + hidden @ down.T)[-1]"),
    ],
}
