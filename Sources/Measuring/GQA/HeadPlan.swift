import LlamaModel
import Quantization
import Tensors

/// What each query head of a model reads after a change, and the model that computes so.
///
/// A KV head is `D` rows of the matrix that projects keys and of the one that projects values. Rotation is linear and
/// turns all heads alike, so the mean of two heads' rows gives the mean of their rotated keys: pooling weights is pooling
/// the cache. Where keys are normalised in between, it is not, and the change is refused. The changed model is a real one with as many KV heads as it takes, evaluated like any other.
public struct HeadPlan: Sendable {
    /// The KV heads of the file whose mean a query head reads; none: it gives nothing.
    public typealias Source = [Int]

    public struct Layer: Sendable, Equatable {
        /// By query head.
        public fileprivate(set) var sources: [Source]
        /// KV heads that the layer's cache holds: one for each source that is read, and copies where they are wanted.
        public fileprivate(set) var cached: Int
    }

    public let change: HeadChange
    public let layers: [Layer]
    /// Layers that the change is about.
    public let changed: [Int]
    /// KV heads of the changed model: the fewest that can be shared as all layers need, or as many copies as were wanted.
    public let kvHeads: Int

    /// - Parameter layers: those to change; dropped heads name their own. `nil`: all.
    /// - Throws: `HeadProblem` if the model cannot be changed so, `AnalysisProblem` if its heads are not made so that a change
    ///   of their rows is a change of heads.
    public init(_ change: HeadChange, layers wanted: [Int]? = nil, of model: Llama) throws {
        try change.analysis.check(model)
        let (c, file) = (model.configuration, model.file.path)
        self.change = change
        var changed = wanted ?? Array(0..<c.layers)
        var sources = (0..<c.heads).map { [c.kvHead(ofQueryHead: $0)] }
        func check(_ kind: String, _ found: Int, _ count: Int) throws(HeadProblem) {
            guard (0..<count).contains(found) else {
                throw .noHead(file: file, change: change, kind: kind, found: found, count: count)
            }
        }
        var copies = 0
        var dropped: [Int: Set<Int>] = [:]
        switch change {
        case .pool(let count):
            let possible = (1..<max(1, c.kvHeads)).filter { c.kvHeads % $0 == 0 }
            try Self.check(count, among: possible, change, c, file)
            let pooled = c.kvHeads / count
            sources = sources.map { Array($0[0] / pooled * pooled..<($0[0] / pooled + 1) * pooled) }
        case .expand(let count):
            let possible = (c.kvHeads + 1..<c.heads + 1).filter { $0 % c.kvHeads == 0 && c.heads % $0 == 0 }
            try Self.check(count, among: possible, change, c, file)
            copies = count
        case .swap(let pairs):
            for pair in pairs {
                for head in [pair.first, pair.second] { try check("KV", head, c.kvHeads) }
                guard pair.first != pair.second else { throw HeadProblem.same(change: change) }
                sources = sources.map {
                    $0 == [pair.first] ? [pair.second] : $0 == [pair.second] ? [pair.first] : $0
                }
            }
        case .remap(let pairs):
            for pair in pairs {
                try check("query", pair.first, c.heads)
                try check("KV", pair.second, c.kvHeads)
                sources[pair.first] = [pair.second]
            }
        case .drop(let all):
            for drop in all {
                guard (0..<c.layers).contains(drop.layer) else {
                    throw HeadProblem.noLayer(file: file, change: change, found: drop.layer, count: c.layers)
                }
                switch drop.heads {
                case .query(let head):
                    try check("query", head, c.heads)
                    dropped[drop.layer, default: []].insert(head)
                case .kv(let head):
                    try check("KV", head, c.kvHeads)
                    dropped[drop.layer, default: []].formUnion(head * c.groupSize..<(head + 1) * c.groupSize)
                case .all: dropped[drop.layer] = Set(0..<c.heads)
                }
            }
            changed = dropped.keys.sorted()
        }
        self.changed = changed
        layers = (0..<c.layers).map { layer in
            let isChanged = changed.contains(layer)
            var own = isChanged ? sources : (0..<c.heads).map { [c.kvHead(ofQueryHead: $0)] }
            for head in dropped[layer] ?? [] { own[head] = [] }
            let read = Set(own.filter { !$0.isEmpty }).count
            return Layer(sources: own, cached: isChanged ? max(copies, read) : c.kvHeads)
        }
        let all = layers.map(\.sources)
        kvHeads = (max(1, copies)...c.heads).first { count in
            let size = c.heads / count
            return c.heads % count == 0
                && all.allSatisfy { own in own.indices.allSatisfy { own[$0] == own[$0 / size * size] } }
        }!
    }

    private static func check(
        _ count: Int, among possible: [Int], _ change: HeadChange, _ c: LlamaConfiguration, _ file: String
    ) throws(HeadProblem) {
        guard possible.contains(count) else {
            throw .count(file: file, change: change, kvHeads: c.kvHeads, possible: possible)
        }
    }

    /// Bytes of an F16 cache with as many heads in each layer as the change leaves.
    public func cacheBytes(_ configuration: LlamaConfiguration, positions: Int) -> Int {
        // Of all layers with one head each, so many.
        let heads = layers.reduce(0) { $0 + $1.cached }
        return KVCache.bytes(configuration, heads: heads, positions: positions) / configuration.layers
    }
}

// MARK: the models

extension HeadPlan {
    /// Weights that cannot hold a mean in their own type, a quantised one, and are decoded to F32 for it.
    public func requantized(in model: Llama) -> [LlamaWeights.Weight] {
        zip(model.weights.layers, layers).flatMap { weights, layer -> [LlamaWeights.Weight] in
            guard layer.sources.contains(where: { $0.count > 1 }) else { return [] }
            return weights.attention.projections.map(\.weight).filter { !$0.tensor.type.isPlain }
        }
    }

    /// The model as it is, but for these weights, which are held as F32: what the change is measured against.
    public func prepared(_ model: Llama) -> Llama {
        let weights = requantized(in: model)
        guard !weights.isEmpty else { return model }
        let tensors = weights.map { weight -> (String, Tensor) in
            let tensor = weight.tensor
            let values = (0..<tensor.shape.ne1).flatMap { tensor.decodedRow($0) }
            return (weight.info.name, .floats(values, tensor.shape))
        }
        return model.replacing(Dictionary(uniqueKeysWithValues: tensors))
    }

    /// The model with the change made.
    ///
    /// - Precondition: `model` is one that `prepared` gave.
    public func applied(to model: Llama) -> Llama {
        let c = model.configuration
        var tensors: [String: Tensor] = [:]
        for (weights, layer) in zip(model.weights.layers, layers) {
            let read = (0..<kvHeads).map { layer.sources[$0 * c.heads / kvHeads] }
            let order: [Source] =
                switch weights.attention {
                case .separate: read
                // Query heads stay, then come those of keys and those of values.
                case .fused:
                    (0..<c.heads).map { [$0] } + read.map { $0.map { c.heads + $0 } }
                        + read.map { $0.map { c.heads + c.kvHeads + $0 } }
                }
            for linear in weights.attention.projections {
                let matrix = linear.weight
                tensors[matrix.info.name] = matrix.tensor.heads(order, size: c.headSize)
                guard let bias = linear.bias else { continue }
                // A number a row.
                let column = bias.tensor.view(Layout(.f32, Shape(1, bias.tensor.shape.ne0)))
                let changed = column.heads(order, size: c.headSize)
                tensors[bias.info.name] = changed.view(Layout(.f32, Shape(changed.shape.ne1)))
            }
        }
        return model.replacing(tensors, kvHeads: kvHeads)
    }
}

extension LlamaWeights.Attention {
    /// What makes keys and values.
    fileprivate var projections: [LlamaWeights.Linear] {
        switch self {
        case .separate(_, let key, let value): [key, value]
        case .fused(let matrix): [matrix]
        }
    }
}

extension Tensor {
    /// A matrix made of this one's heads of `size` rows: each a copy to the bit, a mean, or zeros where there is no source.
    ///
    /// Means are summed in Double and rounded once, so that the mean of equal rows is the row. Bytes of zero are the number
    /// 0 in every format, because they are a scale of 0.
    ///
    /// - Precondition: where there are means, a plain type.
    fileprivate func heads(_ sources: [HeadPlan.Source], size: Int) -> Tensor {
        let result = Tensor.zeros(type, Shape(shape.ne0, sources.count * size))
        let bytes = size * layout.rowBytes
        for (index, source) in sources.enumerated() where !source.isEmpty {
            let target = index * bytes..<(index + 1) * bytes
            if source.count == 1 {
                let start = offset + source[0] * bytes
                self.source.withBytes(in: start..<start + bytes) { head in
                    result.buffer.withMutableElements(of: UInt8.self, in: target) { out in
                        head.withElements(of: UInt8.self) { head in
                            for i in 0..<bytes { out[i] = head[i] }
                        }
                    }
                }
                continue
            }
            let format = BlockFormats.encodableFormat(for: type)!
            for row in 0..<size {
                let mean = mean(ofRows: source.map { $0 * size + row })
                let start = target.lowerBound + row * layout.rowBytes
                result.buffer.withMutableBytes(in: start..<start + layout.rowBytes) { out in
                    format.encode(mean.span, importance: nil, into: &out)
                }
            }
        }
        return result
    }

    private func mean(ofRows rows: [Int]) -> [Float] {
        var sums = [Double](repeating: 0, count: shape.ne0)
        for row in rows {
            for (i, value) in decodedRow(row).enumerated() { sums[i] += Double(value) }
        }
        return sums.map { Float($0 / Double(rows.count)) }
    }
}
