import ComputeGraph
import SIMDKernels
import Tensors

/// `Attention` being computed by the C kernels of the set that workers use.
///
/// One of the few files that hand memory to C: every size that C relies on is checked here.
struct AttentionKernel: @unchecked Sendable {
    // Unchecked: C functions are code only.
    private let kernels: quipu_attention_kernels
    private let keys, queries, values, seen, output: Tensor
    private let sinks: Tensor?
    private let scale: Float
    /// Keys in the kernels' order, of each KV head.
    private let packed: Tensor

    /// Scores of a thread's rows that surely stay in its second-level cache, and the rows that such a block has at most.
    private static let scoreBytes = 1 << 20
    private static let mostRows = 96

    /// - Returns: `nil` if the set has no kernels, or they do not take such inputs.
    init?(_ inputs: [Tensor], seen: Tensor, scale: Float, output: Tensor, on workers: Workers) {
        guard let kernels = RowKernels.attention(on: workers), inputs.count == 4 || inputs.count == 5,
            Self.takes(inputs, output)
        else { return nil }
        self.kernels = kernels
        (keys, queries, values, sinks) = (inputs[0], inputs[1], inputs.last!, inputs.count == 5 ? inputs[3] : nil)
        (self.seen, self.output, self.scale) = (seen, output, scale)
        let (block, positions) = (kernels.block_keys, keys.shape.ne1)
        packed = .unwritten(
            .f16, Shape(keys.shape.ne0, (positions + block - 1) / block * block, keys.shape.ne2))
        precondition(
            seen.layout == Layout(.i32, Shape(2, output.shape.ne1)) && Self.areInside(seen, positions),
            "\(seen.layout) says what \(output.layout) sees of \(positions) positions")
    }

    private static func areInside(_ seen: Tensor, _ positions: Int) -> Bool {
        seen.withElements(of: Int32.self) { seen in
            for token in 0..<seen.count / 2 {
                let (begin, end) = (Int(seen[2 * token]), Int(seen[2 * token + 1]))
                if begin < 0 || begin >= end || end > positions { return false }
            }
            return true
        }
    }

    private static func takes(_ inputs: [Tensor], _ output: Tensor) -> Bool {
        let (k, q, v, y) = (inputs[0].layout, inputs[1].layout, inputs.last!.layout, output.layout)
        let shape = y.shape
        if inputs.count == 5, inputs[3].layout != Layout(.f32, Shape(shape.ne2)) { return false }
        guard k.type == .f16, v.type == .f16, q.type == .f32, y.type == .f32 else { return false }
        guard k.strides.nb0 == 2, v.strides.nb0 == 2, q.strides.nb0 == 4, y.isContiguous else { return false }
        guard k.shape.ne0 % 16 == 0, shape.ne0 % 16 == 0, k.shape.ne3 == 1, shape.ne1 > 1 else { return false }
        return q.shape == Shape(k.shape.ne0, shape.ne1, shape.ne2)
            && v.shape == Shape(k.shape.ne1, shape.ne0, k.shape.ne2) && shape.ne2 % k.shape.ne2 == 0
    }

    /// - Returns: whether it was possible; if not, a number was infinite or none.
    func run(on workers: Workers) -> Bool {
        let blocks = packed.shape.ne1 / kernels.block_keys
        let grain = rowGrain(elementsPerRow: kernels.block_keys * keys.shape.ne0 / 8)
        guard
            isDone(
                items: blocks * keys.shape.ne2, grain: grain, on: workers,
                { item in
                    withAttention(kvHead: item / blocks) { [kernels] in kernels.pack($0, item % blocks) }
                })
        else { return false }
        let heads = output.shape.ne2 / keys.shape.ne2
        let all = output.shape.ne1 * heads
        let fitting = Self.scoreBytes / (4 * keys.shape.ne1) / 12 * 12
        let rows = min(max(fitting, 24), Self.mostRows)
        let parts = (all + rows - 1) / rows
        return isDone(items: parts * keys.shape.ne2, grain: 1, on: workers) { item in
            // The last tokens see most; threads end together if these come first.
            let first = (parts - 1 - item / keys.shape.ne2) * rows
            return withAttention(kvHead: item % keys.shape.ne2) { attention in
                attend(attention, first, min(rows, all - first))
            }
        }
    }

    private func attend(_ attention: UnsafePointer<quipu_attention>, _ first: Int, _ rows: Int) -> Bool {
        let bytes = kernels.scratch_bytes(attention, rows)
        return Buffer(unwritten: bytes).withMutableBytes(in: 0..<bytes) { [kernels] scratch in
            scratch.withUnsafeMutableBytes { kernels.attend(attention, first, rows, $0.baseAddress) }
        }
    }

    /// Calls `body` of each item on all threads; whether it said yes each time.
    private func isDone(
        items: Int, grain: Int, on workers: Workers, _ body: @escaping @Sendable (Int) -> Bool
    ) -> Bool {
        let answers = Tensor.unwritten(.i32, Shape(1, items))
        workers.run(items: items, grain: grain) { items in
            for item in items {
                let answer: Int32 = body(item) ? 1 : 0
                answers.withMutableRow(of: Int32.self, item) { $0[0] = answer }
            }
        }
        return answers.withElements(of: Int32.self) { answers in answers.indices.allSatisfy { answers[$0] == 1 } }
    }

    /// Calls `body` with what C wants to know of a KV head and the query heads that share it.
    private func withAttention(kvHead: Int, _ body: (UnsafePointer<quipu_attention>) -> Bool) -> Bool {
        let heads = output.shape.ne2 / keys.shape.ne2
        let (k, q, v, y) = (keys.layout.strides, queries.layout.strides, values.layout.strides, output.layout.strides)
        let tensors = [keys, queries, values, seen, output, packed] + (sinks.map { [$0] } ?? [])
        return Self.withStarts(of: tensors[...]) { starts in
            // Threads write different rows of these two at the same time.
            let mixes = UnsafeMutableRawPointer(mutating: starts[4] + kvHead * heads * y.nb2)
            let packedKeys = UnsafeMutableRawPointer(mutating: starts[5] + kvHead * packed.layout.strides.nb2)
            let sinks = sinks == nil ? nil : (starts[6] + kvHead * heads * 4).assumingMemoryBound(to: Float.self)
            var attention = quipu_attention(
                keys: starts[0] + kvHead * k.nb2, key_stride: k.nb1, values: starts[2] + kvHead * v.nb2,
                value_stride: v.nb1,
                queries: (starts[1] + kvHead * heads * q.nb2).assumingMemoryBound(to: Float.self),
                query_token_stride: q.nb1, query_head_stride: q.nb2,
                output: mixes.assumingMemoryBound(to: Float.self), output_token_stride: y.nb1 / 4,
                output_head_stride: y.nb2 / 4, key_size: keys.shape.ne0, value_size: output.shape.ne0,
                positions: keys.shape.ne1, heads: heads, visible: starts[3].assumingMemoryBound(to: Int32.self),
                scale: scale, sinks: sinks, packed_keys: packedKeys.assumingMemoryBound(to: UInt16.self))
            return body(&attention)
        }
    }

    /// Calls `body` with where the tensors' first values are.
    private static func withStarts(
        of tensors: ArraySlice<Tensor>, _ starts: [UnsafeRawPointer] = [], _ body: ([UnsafeRawPointer]) -> Bool
    ) -> Bool {
        guard let first = tensors.first else { return body(starts) }
        return first.withBytes { bytes in
            bytes.withUnsafeBytes { withStarts(of: tensors.dropFirst(), starts + [$0.baseAddress!], body) }
        }
    }
}
