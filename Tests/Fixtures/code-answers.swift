// A right program for each code task of the course, one after the other; CodeTests and code_conformance.py hand them in.

// quipu lesson code q4_0
import Foundation

func half(_ a: UInt8, _ b: UInt8) -> Float { Float(Float16(bitPattern: UInt16(a) | UInt16(b) << 8)) }

func decode(_ block: [UInt8]) -> [Float] {
    let d = half(block[0], block[1])
    return (0..<32).map { i in d * Float(Int(block[2 + i % 16] >> (i < 16 ? 0 : 4) & 15) - 8) }
}

// quipu lesson code q4_1
func half(_ a: UInt8, _ b: UInt8) -> Float { Float(Float16(bitPattern: UInt16(a) | UInt16(b) << 8)) }

func decode(_ block: [UInt8]) -> [Float] {
    let (d, m) = (half(block[0], block[1]), half(block[2], block[3]))
    return (0..<32).map { i in d * Float(block[4 + i % 16] >> (i < 16 ? 0 : 4) & 15) + m }
}

// quipu lesson code q8_0
func encode(_ x: [Float]) -> [UInt8] {
    let d = x.map(abs).max()! / 127
    let bits = Float16(d).bitPattern
    let codes = x.map { d == 0 ? 0 : UInt8(bitPattern: Int8(($0 / d).rounded())) }
    return [UInt8(bits & 255), UInt8(bits >> 8)] + codes
}

// quipu lesson code q4_k
func half(_ a: UInt8, _ b: UInt8) -> Float { Float(Float16(bitPattern: UInt16(a) | UInt16(b) << 8)) }

func decode(_ block: [UInt8]) -> [Float] {
    let (d, dmin) = (half(block[0], block[1]), half(block[2], block[3]))
    let s = Array(block[4..<16])
    var values: [Float] = []
    for j in 0..<8 {
        let sc = j < 4 ? s[j] & 63 : s[j + 4] & 15 | (s[j - 4] >> 6) << 4
        let mn = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4
        for i in 0..<32 {
            let byte = block[16 + 32 * (j / 2) + i]
            values.append(d * Float(sc) * Float(j % 2 == 0 ? byte & 15 : byte >> 4) - dmin * Float(mn))
        }
    }
    return values
}

// quipu lesson code rmsnorm
func rmsnorm(_ x: [[Float]], _ weight: [Float], _ eps: Double) -> [[Float]] {
    x.map { row in
        let square = row.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(row.count)
        let size = Float((square + eps).squareRoot())
        return zip(row, weight).map { $0 / size * $1 }
    }
}

// quipu lesson code softmax
import Foundation

func shares(_ scores: [[Float]], _ scale: Double) -> [[Float]] {
    scores.enumerated().map { i, row in
        let seen = row[...i].map { Double($0) * scale }
        let powers = seen.map { exp($0 - seen.max()!) }
        let sum = powers.reduce(0, +)
        return row.indices.map { $0 <= i ? Float(powers[$0] / sum) : 0 }
    }
}

// quipu lesson code rope
import Foundation

func rope(_ x: [[Float]], _ position: Int, _ base: Double, _ halves: Bool) -> [[Float]] {
    x.map { row in
        var row = row
        let n = row.count
        for i in 0..<n / 2 {
            let (a, b) = halves ? (i, i + n / 2) : (2 * i, 2 * i + 1)
            let angle = Double(position) * pow(base, -2 * Double(i) / Double(n))
            let (c, s) = (Float(cos(angle)), Float(sin(angle)))
            (row[a], row[b]) = (row[a] * c - row[b] * s, row[a] * s + row[b] * c)
        }
        return row
    }
}

// quipu lesson code attention
import Foundation

func attend(_ q: [[[Float]]], _ k: [[[Float]]], _ v: [[[Float]]], _ head: Int) -> [[Double]] {
    let n = q[0][0].count
    let kv = head / (q[0].count / k[0].count)
    return q.indices.map { i in
        let scores = (0...i).map { j in
            zip(q[i][head], k[j][kv]).reduce(0.0) { $0 + Double($1.0 * $1.1) } / Double(n).squareRoot()
        }
        let powers = scores.map { exp($0 - scores.max()!) }
        let sum = powers.reduce(0, +)
        return (0..<n).map { e in (0...i).reduce(0.0) { $0 + powers[$1] / sum * Double(v[$1][kv][e]) } }
    }
}

// quipu lesson code dot
func half(_ a: UInt8, _ b: UInt8) -> Double { Double(Float16(bitPattern: UInt16(a) | UInt16(b) << 8)) }

func dot(_ w: [[UInt8]], _ x: [[UInt8]]) -> Double {
    var total = 0.0
    for (w, x) in zip(w, x) {
        var sum = 0
        for i in 0..<32 {
            sum += (Int(w[2 + i % 16] >> (i < 16 ? 0 : 4) & 15) - 8) * Int(Int8(bitPattern: x[2 + i]))
        }
        total += Double(sum) * half(w[0], w[1]) * half(x[0], x[1])
    }
    return total
}

// quipu lesson code perplexity
import Foundation

func perplexity(_ logits: [[Float]], _ tokens: [Int]) -> Double {
    let surprises = zip(logits, tokens).map { row, token in
        let top = Double(row.max()!)
        return top + log(row.reduce(0.0) { $0 + exp(Double($1) - top) }) - Double(row[token])
    }
    return exp(surprises.reduce(0, +) / Double(tokens.count))
}

// quipu lesson code layer
import Foundation

func times(_ x: [[Float]], _ w: [[Float]]) -> [[Float]] {
    x.map { row in w.map { other in zip(row, other).reduce(Float(0)) { $0 + $1.0 * $1.1 } } }
}

func plus(_ x: [[Float]], _ y: [[Float]]) -> [[Float]] { zip(x, y).map { zip($0, $1).map(+) } }

func norm(_ x: [[Float]], _ weight: [Float], _ eps: Double) -> [[Float]] {
    x.map { row in
        let size = (row.reduce(0) { $0 + $1 * $1 } / Float(row.count) + Float(eps)).squareRoot()
        return zip(row, weight).map { $0 / size * $1 }
    }
}

func turned(_ head: [Float], _ position: Int, _ base: Double) -> [Float] {
    var head = head
    for i in 0..<head.count / 2 {
        let angle = Double(position) * pow(base, -2 * Double(i) / Double(head.count))
        let (a, b, c, s) = (head[2 * i], head[2 * i + 1], Float(cos(angle)), Float(sin(angle)))
        (head[2 * i], head[2 * i + 1]) = (a * c - b * s, a * s + b * c)
    }
    return head
}

func layer(
    _ x: [[Float]], _ attn_norm: [Float], _ wq: [[Float]], _ wk: [[Float]], _ wv: [[Float]], _ wo: [[Float]],
    _ ffn_norm: [Float], _ gate: [[Float]], _ up: [[Float]], _ down: [[Float]], _ heads: Int, _ kv_heads: Int,
    _ base: Double, _ eps: Double
) -> [[Float]] {
    let n = wq.count / heads
    var h = norm(x, attn_norm, eps)
    let (q, k, v) = (times(h, wq), times(h, wk), times(h, wv))
    let mixed = x.indices.map { i in
        (0..<heads).flatMap { head -> [Float] in
            let kv = head / (heads / kv_heads)
            let query = turned(Array(q[i][head * n..<(head + 1) * n]), i, base)
            let scores = (0...i).map { j in
                let key = turned(Array(k[j][kv * n..<(kv + 1) * n]), j, base)
                return zip(query, key).reduce(Float(0)) { $0 + $1.0 * $1.1 } / Float(n).squareRoot()
            }
            let powers = scores.map { exp($0 - scores.max()!) }
            let sum = powers.reduce(0, +)
            return (0..<n).map { e in (0...i).reduce(Float(0)) { $0 + powers[$1] / sum * v[$1][kv * n + e] } }
        }
    }
    let middle = plus(x, times(mixed, wo))
    h = norm(middle, ffn_norm, eps)
    let hidden = zip(times(h, gate), times(h, up)).map { zip($0, $1).map { $0 / (1 + exp(-$0)) * $1 } }
    return plus(middle, times(hidden, down))
}
