import ComputeGraph
import Foundation
import GRDB
import Operations
import Tensors

/// The values of a recorded operation; some or all of them.
public struct RecordedValues: Sendable {
    public let shape: Shape
    /// Row-major (`ne0` fastest). Elements that were not captured hold `missing`.
    fileprivate let values: [Float]

    /// A NaN with a payload that no computation produces: marks what was not captured, through views and slices.
    fileprivate static let missing = Float(bitPattern: 0x7fc0_cafe)

    /// `nil` if the element was not captured.
    public subscript(_ i: ElementIndex) -> Float? {
        let value = values[shape.number(of: i)]
        return value.bitPattern == RecordedValues.missing.bitPattern ? nil : value
    }

    /// All values, `nil` where not captured.
    public var all: [Float?] {
        values.map { $0.bitPattern == RecordedValues.missing.bitPattern ? nil : $0 }
    }

    public var isComplete: Bool { missingCount == 0 }

    /// Elements that were not captured.
    public var missingCount: Int { values.count { $0.bitPattern == RecordedValues.missing.bitPattern } }

    /// All values, NaN where not captured.
    public var floats: [Float] { values }
}

extension TraceStore {
    /// The values of an operation as captured. A view's are found at its source, the cache's in what passes wrote to it.
    ///
    /// - Throws: `TraceError.notCaptured` if none of them is in the trace.
    public func values(of operation: RecordedOperation, in run: RecordedRun) throws -> RecordedValues {
        guard let tensor = try tensor(of: operation, in: run) else {
            // With everything captured, what is missing is what was not there yet.
            throw run.capture == Capture(.all).description
                ? TraceError.emptyCache(name: operation.name)
                : TraceError.notCaptured(name: operation.name, capture: run.capture)
        }
        let values = tensor.floats()
        guard values.contains(where: { $0.bitPattern != RecordedValues.missing.bitPattern }) else {
            throw TraceError.notCaptured(name: operation.name, capture: run.capture)
        }
        return RecordedValues(shape: operation.shape, values: values)
    }

    /// What the trace holds for this operation itself: of a cache only what this operation wrote, of a view nothing.
    ///
    /// - Returns: `nil` if it holds nothing.
    /// - Throws: `TraceError.damaged` if a blob does not fit its row.
    public func ownValues(of operation: RecordedOperation) throws -> RecordedValues? {
        let chunks = try fetch("SELECT * FROM tensor WHERE op_id = ? ORDER BY chunk", [operation.id]) { $0 }
        guard !chunks.isEmpty else { return nil }
        let tensor = try assembled(chunks, operation.shape, operation.name)
        return RecordedValues(shape: operation.shape, values: tensor.floats())
    }

    /// The output as an F32 tensor; `nil` if nothing of it was captured.
    private func tensor(of operation: RecordedOperation, in run: RecordedRun) throws -> Tensor? {
        if operation.isView {
            let input = try input(0, of: operation.id, operation.name)
            guard let source = try tensor(of: input, before: operation, in: run) else { return nil }
            return try view(operation, of: source)
        }
        if operation.isWrite {
            let destination = try input(2, of: operation.id, operation.name)
            return try cache(named: leafName(destination), shape: operation.shape, upTo: operation, in: run)
        }
        let chunks = try fetch("SELECT * FROM tensor WHERE op_id = ? ORDER BY chunk", [operation.id]) { $0 }
        return chunks.isEmpty ? nil : try assembled(chunks, operation.shape, operation.name)
    }

    private func tensor(
        of input: RecordedInput, before operation: RecordedOperation, in run: RecordedRun
    ) throws -> Tensor? {
        guard let id = input.sourceOperation else {
            return try cache(named: input.name, shape: input.shape, upTo: operation, in: run)
        }
        let sources = try fetch(
            """
            SELECT op.*, pass.step, pass.first_position, pass.n_tokens FROM op JOIN pass ON pass.id = op.pass_id
            WHERE op.id = ?
            """, [id], RecordedOperation.init)
        // An earlier one of the same pass: following views comes to an end.
        guard let source = sources.first, source.step == operation.step, source.seq < operation.seq else {
            throw TraceError.damagedView(path: path, name: operation.name)
        }
        return try tensor(of: source, in: run)
    }

    /// `cache_v_l0 (reshaped)` is the leaf `cache_v_l0` in another shape.
    private func leafName(_ destination: RecordedInput) throws -> String {
        var input = destination
        for _ in 0..<Self.deepestView {
            guard let id = input.sourceOperation else { return input.name }
            input = try self.input(0, of: id, destination.name)
        }
        throw TraceError.damagedView(path: path, name: destination.name)
    }

    /// A reshape of a view of … : llama.cpp's graphs need four.
    private static let deepestView = 64

    private func input(_ slot: Int, of id: Int, _ name: String) throws -> RecordedInput {
        let inputs = try inputs(ofID: id)
        guard slot < inputs.count else { throw TraceError.damagedView(path: path, name: name) }
        return inputs[slot]
    }

    /// A cache's memory as an operation sees it: everything written to it in this run so far.
    private func cache(
        named leaf: String, shape: Shape, upTo operation: RecordedOperation, in run: RecordedRun
    ) throws -> Tensor? {
        // The destination of a write is the leaf itself or a reshape of it.
        let chunks = try fetch(
            """
            SELECT tensor.* FROM tensor JOIN op ON op.id = tensor.op_id JOIN pass ON pass.id = op.pass_id
            WHERE op.name IN (? || ' (view)', ? || ' (reshaped) (view)') AND op.kind = '\(SetRows.kind)' AND pass.run_id = ?
                AND (pass.step < ? OR (pass.step = ? AND op.seq <= ?))
            ORDER BY pass.step, tensor.chunk
            """, [leaf, leaf, run.id, operation.step, operation.step, operation.seq]
        ) { $0 }
        return chunks.isEmpty ? nil : try assembled(chunks, shape, leaf)
    }

    /// F32 values at the indices that the chunks name, `missing` elsewhere.
    ///
    /// - Throws: `TraceError.damaged` if a blob is of another size than its row says, or reaches outside the tensor.
    private func assembled(_ chunks: [Row], _ shape: Shape, _ name: String) throws -> Tensor {
        let held = chunks.reduce(0) { $0 + ($1["data"] as Data).count }
        // What the file does not hold must not take the memory.
        let size = shape.dimensions.reduce(1.0) { $1 > 0 ? $0 * Double($1) : .infinity }
        guard size <= max(Double(held), Double(Self.sparseElements)) else {
            throw TraceError.damaged(path: path, name: name, bytes: held, elements: Int(min(size, 9e18)))
        }
        var values = [Float](repeating: RecordedValues.missing, count: shape.count)
        for chunk in chunks {
            let data: Data = chunk["data"]
            let count: Int = chunk["n_elements"]
            let first: Int = chunk["first_element"]
            let length: Int = chunk["run_length"] ?? count
            let step: Int = chunk["run_stride"] ?? 0
            let type: TensorType = chunk["dtype"] == "f16" ? .f16 : chunk["dtype"] == "i32" ? .i32 : .f32
            let isSane = count > 0 && count <= data.count && length > 0 && first >= 0 && step >= 0
            // Approximately, because the numbers may be too large to multiply; then exactly.
            guard isSane, data.count == count * type.blockBytes,
                Double(first) + Double((count - 1) / length) * Double(step) < 2 * size,
                first + (count - 1) / length * step + (count - 1) % length < values.count
            else { throw TraceError.damaged(path: path, name: name, bytes: data.count, elements: count) }
            let decoded = Tensor(Layout(type, Shape(count)), in: Buffer(data)).floats()
            for i in 0..<count { values[first + i / length * step + i % length] = decoded[i] }
        }
        return .floats(values, shape)
    }

    /// Elements of a tensor of which little was captured, such as a cache: 1 GiB of F32.
    private static let sparseElements = 1 << 28

    /// Applies a recorded view to an F32 tensor that stands for its source. Byte distances of an F16 source double.
    ///
    /// - Throws: `TraceError.damagedView` if it does not lie inside its source.
    private func view(_ operation: RecordedOperation, of source: Tensor) throws -> Tensor {
        let widening = operation.type == .f16 ? 2 : 1
        let parameters = Data(operation.parameters.utf8)
        func within(_ strides: [Int], at offset: Int = 0) throws -> Tensor {
            let extents = operation.shape.dimensions
            let last = zip(extents, strides).reduce(Double(offset)) { $0 + Double($1.0 - 1) * Double($1.1) }
            guard offset >= 0, offset % 4 == 0, strides.allSatisfy({ $0 >= 0 && $0 % 4 == 0 }),
                extents.allSatisfy({ $0 > 0 }), last + 4 <= Double(source.source.byteCount - source.offset)
            else { throw TraceError.damagedView(path: path, name: operation.name) }
            let layout = Layout.Strides(strides[0], strides[1], strides[2], strides[3])
            return source.view(Layout(type: .f32, shape: operation.shape, strides: layout), at: offset)
        }
        switch operation.kind {
        case Permute.kind:
            let axes = (try? JSONDecoder().decode([String: [Int]].self, from: parameters))?["axes"] ?? []
            guard axes.sorted() == [0, 1, 2, 3] else { throw TraceError.damagedView(path: path, name: operation.name) }
            var strides = [0, 0, 0, 0]
            for dimension in 0..<4 { strides[axes[dimension]] = source.layout.strides[dimension] }
            return try within(strides)
        case Transpose.kind:
            let strides = source.layout.strides
            return try within([strides.nb1, strides.nb0, strides.nb2, strides.nb3])
        case View.kind:
            let p = (try? JSONDecoder().decode([String: Int].self, from: parameters)) ?? [:]
            let distances = ["nb1", "nb2", "nb3", "offset"].compactMap { p[$0] }
            guard distances.count == 4, distances.allSatisfy({ 0..<1 << 60 ~= $0 }) else {
                throw TraceError.damagedView(path: path, name: operation.name)
            }
            return try within([4] + distances.prefix(3).map { $0 * widening }, at: distances[3] * widening)
        default:
            let values = source.floats()
            guard operation.shape.dimensions.reduce(1.0, { $0 * Double($1) }) == Double(values.count) else {
                throw TraceError.damagedView(path: path, name: operation.name)
            }
            return .floats(values, operation.shape)
        }
    }
}

extension Buffer {
    /// A copy of bytes out of the database, aligned as tensors want it.
    fileprivate convenience init(_ data: Data) {
        self.init(byteCount: data.count)
        withMutableBytes(in: 0..<data.count) { bytes in
            bytes.withUnsafeMutableBytes { _ = data.copyBytes(to: $0) }
        }
    }
}

/// An operation whose output the trace holds whole.
public struct WholeTensor: Sendable {
    let id: Int
    public let name: String
    public let role: NodeRole?
    public let shape: Shape
}

extension TraceStore {
    /// The operations of a step whose F32 output was captured in full, by their indices in the graph.
    public func wholeTensors(of run: RecordedRun, step: Int) throws -> [Int: WholeTensor] {
        let rows = try fetch(
            """
            SELECT op.seq, op.id, op.name, op.role, op.ne0, op.ne1, op.ne2, op.ne3
            FROM op JOIN pass ON pass.id = op.pass_id JOIN tensor ON tensor.op_id = op.id
            WHERE pass.run_id = ? AND pass.step = ? AND op.kind != '\(SetRows.kind)'
            GROUP BY op.id
            HAVING sum(n_elements) = ne0 * ne1 * ne2 * ne3 AND count(run_length) = 0 AND min(dtype) = 'f32'
            """, [run.id, step]
        ) { row in
            (
                row["seq"] as Int,
                WholeTensor(
                    id: row["id"], name: row["name"],
                    role: (row["role"] as String?).flatMap(NodeRole.init),
                    shape: Shape(row["ne0"], row["ne1"], row["ne2"], row["ne3"]))
            )
        }
        return Dictionary(uniqueKeysWithValues: rows)
    }

    /// The operations of a step of which some value was captured, by their ids.
    public func capturedOperations(of run: RecordedRun, step: Int) throws -> Set<Int> {
        Set(
            try fetch(
                """
                SELECT DISTINCT op_id FROM tensor JOIN op ON op.id = op_id JOIN pass ON pass.id = op.pass_id
                WHERE run_id = ? AND step = ?
                """, [run.id, step]
            ) { row -> Int in row["op_id"] })
    }

    /// The values of an operation that was captured whole.
    ///
    /// - Throws: `TraceError.damaged` if the blobs are not what the rows say.
    public func tensor(of operation: WholeTensor) throws -> Tensor {
        try TraceStore.wrapping(path) {
            try database.read { db in
                // Known without reading them; what the file does not hold must not take the memory.
                let held = try Int.fetchOne(
                    db, sql: "SELECT sum(length(data)) FROM tensor WHERE op_id = ?", arguments: [operation.id])
                let expected = operation.shape.dimensions.reduce(4.0) { $0 * Double($1) }
                guard let held, Double(held) == expected else {
                    throw damaged(operation, bytes: held ?? 0, elements: Int(min(expected / 4, 9e18)))
                }
                let result = Tensor.zeros(.f32, operation.shape)
                let chunks = try Row.fetchCursor(
                    db, sql: "SELECT first_element, data FROM tensor WHERE op_id = ?", arguments: [operation.id])
                while let chunk = try chunks.next() {
                    let first: Int = chunk["first_element"]
                    try chunk.withUnsafeData(named: "data") { data in
                        guard let data else { return }
                        guard first >= 0, first <= held / 4, 4 * first + data.count <= held else {
                            throw damaged(operation, bytes: data.count, elements: operation.shape.count)
                        }
                        result.buffer.withMutableBytes(in: 4 * first..<4 * first + data.count) { bytes in
                            bytes.withUnsafeMutableBytes { _ = data.copyBytes(to: $0) }
                        }
                    }
                }
                return result
            }
        }
    }

    private func damaged(_ operation: WholeTensor, bytes: Int, elements: Int) -> TraceError {
        .damaged(path: path, name: operation.name, bytes: bytes, elements: elements)
    }
}
