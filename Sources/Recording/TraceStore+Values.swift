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

    /// `nil` if the element was not captured, or lies outside.
    public subscript(_ i: ElementIndex) -> Float? {
        guard (0..<shape.ne0).contains(i.i0), (0..<shape.ne1).contains(i.i1), (0..<shape.ne2).contains(i.i2),
            (0..<shape.ne3).contains(i.i3)
        else { return nil }
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
        let chunks = try chunks(of: operation)
        guard !chunks.isEmpty else { return nil }
        let tensor = try assembled(chunks, operation.shape, operation.name)
        return RecordedValues(shape: operation.shape, values: tensor.floats())
    }

    /// One blob, and which elements it is.
    private struct Chunk {
        let row: CheckedRow
        let count: Int
        let first: Int
        let runLength: Int
        let runStride: Int
        let type: TensorType
        let data: Data

        init(_ row: CheckedRow) throws {
            self.row = row
            let types: [String: TensorType] = ["f32": .f32, "f16": .f16, "i32": .i32]
            guard let type = types[try row.text("dtype")] else {
                throw row.damage("dtype", expected: "f32, f16 or i32")
            }
            self.type = type
            data = try row.blob("data")
            count = try row.int("n_elements", in: 1...CheckedRow.largestTensor)
            first = try row.int("first_element", in: 0...CheckedRow.largestTensor)
            runLength = try row.optionalInt("run_length", in: 1...CheckedRow.largestTensor) ?? count
            runStride = try row.optionalInt("run_stride", in: 0...CheckedRow.largestTensor) ?? 0
            guard data.count == count * type.blockBytes else {
                throw row.damage("data", expected: "\(count * type.blockBytes) bytes for \(count) elements")
            }
        }
    }

    private static let chunkKeys = ["op_id", "chunk"]

    private func chunks(of operation: RecordedOperation) throws -> [Chunk] {
        try fetch(
            "tensor", by: Self.chunkKeys, "SELECT * FROM tensor WHERE op_id = ? ORDER BY chunk", [operation.id],
            Chunk.init)
    }

    /// The output as an F32 tensor; `nil` if nothing of it was captured.
    ///
    /// - Parameter depth: views passed on the way here.
    private func tensor(of operation: RecordedOperation, in run: RecordedRun, depth: Int = 0) throws -> Tensor? {
        if operation.isView {
            let input = try input(0, of: operation.id, operation.name)
            guard let source = try tensor(of: input, before: operation, in: run, depth: depth) else { return nil }
            return try view(operation, of: source)
        }
        if operation.isWrite {
            let destination = try input(2, of: operation.id, operation.name)
            return try cache(named: leafName(destination), shape: operation.shape, upTo: operation, in: run)
        }
        let chunks = try chunks(of: operation)
        return chunks.isEmpty ? nil : try assembled(chunks, operation.shape, operation.name)
    }

    private func tensor(
        of input: RecordedInput, before operation: RecordedOperation, in run: RecordedRun, depth: Int
    ) throws -> Tensor? {
        guard let id = input.sourceOperation else {
            return try cache(named: input.name, shape: input.shape, upTo: operation, in: run)
        }
        guard let source = try self.operation(id: id), source.step == operation.step, source.seq < operation.seq else {
            throw damagedView(operation, "source_op_id", "operation \(id)", "an operation before it in the same pass")
        }
        guard depth < Self.deepestView else {
            throw damagedView(operation, "source_op_id", "a view of a view, and so on", "\(Self.deepestView) at most")
        }
        return try tensor(of: source, in: run, depth: depth + 1)
    }

    private func damagedView(
        _ operation: RecordedOperation, _ column: String, _ found: String, _ expected: String
    ) -> TraceError {
        let table = column == "params" ? "op" : "op_input"
        return damaged(
            table, "step \(operation.step), seq \(operation.seq), name \(operation.name)", column, found: found,
            expected: expected)
    }

    /// `cache_v_l0 (reshaped)` is the leaf `cache_v_l0` in another shape.
    private func leafName(_ destination: RecordedInput) throws -> String {
        var input = destination
        for _ in 0..<Self.deepestView {
            guard let id = input.sourceOperation else { return input.name }
            input = try self.input(0, of: id, destination.name)
        }
        throw damaged(
            "op_input", "name \(destination.name)", "source_op_id", found: "a view of a view, and so on",
            expected: "\(Self.deepestView) at most")
    }

    /// A reshape of a view of … : llama.cpp's graphs need four.
    private static let deepestView = 64

    private func input(_ slot: Int, of id: Int, _ name: String) throws -> RecordedInput {
        let inputs = try inputs(ofID: id)
        guard slot < inputs.count else {
            throw damaged(
                "op_input", "op_id \(id), name \(name)", "slot",
                found: inputs.count == 1 ? "1 input" : "\(inputs.count) inputs", expected: "\(slot + 1) or more")
        }
        return inputs[slot]
    }

    /// A cache's memory as an operation sees it: everything written to it in this run so far.
    private func cache(
        named leaf: String, shape: Shape, upTo operation: RecordedOperation, in run: RecordedRun
    ) throws -> Tensor? {
        // The destination of a write is the leaf itself or a reshape of it.
        let chunks = try fetch(
            "tensor", by: Self.chunkKeys,
            """
            SELECT tensor.* FROM tensor JOIN op ON op.id = tensor.op_id JOIN pass ON pass.id = op.pass_id
            WHERE op.name IN (? || ' (view)', ? || ' (reshaped) (view)') AND op.kind = '\(SetRows.kind)' AND pass.run_id = ?
                AND (pass.step < ? OR (pass.step = ? AND op.seq <= ?))
            ORDER BY pass.step, tensor.chunk
            """, [leaf, leaf, run.id, operation.step, operation.step, operation.seq],
            Chunk.init)
        return chunks.isEmpty ? nil : try assembled(chunks, shape, leaf)
    }

    /// F32 values at the indices that the chunks name, `missing` elsewhere.
    ///
    /// - Throws: `TraceError.damaged` if a blob reaches outside the tensor, or the tensor is far larger than its blobs.
    private func assembled(_ chunks: [Chunk], _ shape: Shape, _ name: String) throws -> Tensor {
        let held = chunks.reduce(0) { $0 + $1.data.count }
        // What the file does not hold must not take the memory.
        guard shape.count <= max(held, Self.sparseElements) else {
            throw damaged(
                "op", "name \(name)", "ne0 to ne3", found: "\(shape.count) elements",
                expected: "no more than its blobs, which hold \(held) bytes, can fill")
        }
        var values = [Float](repeating: RecordedValues.missing, count: shape.count)
        for chunk in chunks {
            let (count, first, length, step) = (chunk.count, chunk.first, chunk.runLength, chunk.runStride)
            let (runs, rest) = (count - 1).quotientAndRemainder(dividingBy: length)
            let (distance, isTooFar) = runs.multipliedReportingOverflow(by: step)
            guard !isTooFar, distance < shape.count, first + distance + rest < shape.count else {
                throw chunk.row.damage(
                    "first_element", found: "\(first), with \(count) elements in runs of \(length) every \(step)",
                    expected: "elements of '\(name)', which has \(shape.count)")
            }
            let decoded = Tensor(Layout(chunk.type, Shape(count)), in: Buffer(chunk.data)).floats()
            for i in 0..<count { values[first + i / length * step + i % length] = decoded[i] }
        }
        return .floats(values, shape)
    }

    /// Elements of a tensor of which little was captured, such as a cache: 1 GiB of F32.
    private static let sparseElements = 1 << 28

    /// Applies a recorded view to an F32 tensor that stands for its source. Byte distances of an F16 source double.
    ///
    /// - Throws: `TraceError.damaged` if it does not lie inside its source.
    private func view(_ operation: RecordedOperation, of source: Tensor) throws -> Tensor {
        let widening = operation.type == .f16 ? 2 : 1
        let parameters = Data(operation.parameters.utf8)
        func damage(_ expected: String) -> TraceError {
            damagedView(operation, "params", operation.parameters, expected)
        }
        func within(_ strides: [Int], at offset: Int = 0) throws -> Tensor {
            let extents = operation.shape.dimensions
            let last = zip(extents, strides).reduce(Double(offset)) { $0 + Double($1.0 - 1) * Double($1.1) }
            guard offset % 4 == 0, strides.allSatisfy({ $0 % 4 == 0 }),
                last + 4 <= Double(source.source.byteCount - source.offset)
            else { throw damage("a view of shape \(operation.shape) inside its source of shape \(source.shape)") }
            let layout = Layout.Strides(strides[0], strides[1], strides[2], strides[3])
            return source.view(Layout(type: .f32, shape: operation.shape, strides: layout), at: offset)
        }
        switch operation.kind {
        case Permute.kind:
            let axes = (try? JSONDecoder().decode([String: [Int]].self, from: parameters))?["axes"] ?? []
            guard axes.sorted() == [0, 1, 2, 3] else { throw damage("axes: 0 to 3 in some order") }
            var strides = [0, 0, 0, 0]
            for dimension in 0..<4 { strides[axes[dimension]] = source.layout.strides[dimension] }
            return try within(strides)
        case Transpose.kind:
            let strides = source.layout.strides
            return try within([strides.nb1, strides.nb0, strides.nb2, strides.nb3])
        case View.kind:
            let p = (try? JSONDecoder().decode([String: Int].self, from: parameters)) ?? [:]
            let distances = ["nb1", "nb2", "nb3", "offset"].compactMap { p[$0] }
            guard distances.count == 4, distances.allSatisfy({ 0...CheckedRow.largestTensor ~= $0 }) else {
                throw damage("nb1, nb2, nb3 and offset in bytes, from 0")
            }
            return try within([4] + distances.prefix(3).map { $0 * widening }, at: distances[3] * widening)
        default:
            let values = source.floats()
            guard operation.shape.count == values.count else {
                throw damagedView(
                    operation, "ne0 to ne3", "\(operation.shape.count) elements",
                    "\(values.count), as many as its source has")
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
        let chunks = try fetch(
            "tensor", by: ["op_id", "chunk"],
            """
            SELECT op.seq, op.name, op.role, op.ne0, op.ne1, op.ne2, op.ne3, tensor.op_id, tensor.chunk,
                tensor.first_element, tensor.n_elements, tensor.run_length, tensor.dtype
            FROM op JOIN pass ON pass.id = op.pass_id JOIN tensor ON tensor.op_id = op.id
            WHERE pass.run_id = ? AND pass.step = ? AND op.kind != '\(SetRows.kind)'
            ORDER BY op.seq, tensor.first_element
            """, [run.id, step]
        ) { row in
            (
                seq: try row.int("seq"),
                tensor: WholeTensor(
                    id: try row.int("op_id"), name: try row.text("name"),
                    role: try row.optionalText("role").flatMap(NodeRole.init), shape: try row.shape()),
                elements: try row.optionalInt("run_length") == nil && row.text("dtype") == "f32"
                    ? (first: try row.int("first_element"), count: try row.int("n_elements")) : nil
            )
        }
        var (whole, next) = ([Int: WholeTensor](), [Int: Int]())
        for (seq, tensor, elements) in chunks {
            // One after another, from the first element to the last.
            guard let elements, elements.first == next[seq, default: 0] else {
                next[seq] = .min
                continue
            }
            next[seq] = elements.first + elements.count
            if elements.first + elements.count == tensor.shape.count { whole[seq] = tensor }
        }
        return whole.filter { next[$0.key] == $0.value.shape.count }
    }

    /// The operations of a step of which some value was captured, by their ids.
    public func capturedOperations(of run: RecordedRun, step: Int) throws -> Set<Int> {
        Set(
            try fetch(
                "tensor", by: ["op_id", "chunk"],
                """
                SELECT DISTINCT op_id FROM tensor JOIN op ON op.id = op_id JOIN pass ON pass.id = op.pass_id
                WHERE run_id = ? AND step = ?
                """, [run.id, step]
            ) { row in try row.int("op_id") })
    }

    /// The values of an operation that was captured whole.
    ///
    /// - Throws: `TraceError.damaged` if its blobs are not what their rows say.
    public func tensor(of operation: WholeTensor) throws -> Tensor {
        try TraceStore.wrapping(path) {
            try database.read { db in
                // Known without reading them; what the file does not hold must not take the memory.
                let held = try Int.fetchOne(
                    db, sql: "SELECT sum(length(data)) FROM tensor WHERE op_id = ?", arguments: [operation.id])
                guard held == 4 * operation.shape.count else {
                    throw TraceError.damaged(
                        TraceDamage(
                            path: path, table: "tensor", row: "op_id \(operation.id)", column: "data",
                            found: "\(held ?? 0) bytes in all",
                            expected: "\(4 * operation.shape.count) for \(operation.shape.count) elements"))
                }
                let result = Tensor.zeros(.f32, operation.shape)
                let statement = try db.cachedStatement(
                    sql: "SELECT * FROM tensor WHERE op_id = ? ORDER BY first_element")
                let rows = try Row.fetchCursor(statement, arguments: [operation.id])
                while let row = try rows.next() {
                    let chunk = CheckedRow(path: path, table: "tensor", keys: Self.chunkKeys, row: row)
                    let first = try chunk.int("first_element", in: 0...operation.shape.count)
                    let count = try chunk.int("n_elements", in: 0...operation.shape.count - first)
                    try row.withUnsafeData(named: "data") { data in
                        guard let data, data.count == 4 * count else {
                            throw chunk.damage("data", expected: "\(4 * count) bytes for \(count) elements")
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
}
