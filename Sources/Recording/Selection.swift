import ComputeGraph
import Foundation
import Tensors

/// Which elements of an operation's output a capture policy keeps; decided from layouts alone, so that a trace's size is
/// known before anything runs.
package struct Selection: Sendable {
    package enum Part: Sendable {
        case all
        /// The last token's column.
        case lastToken
        /// What the operation wrote into its destination; all rows, or only the last token's.
        case written(lastTokenOnly: Bool)
    }

    let part: Part
    let elements: Int
    let type: TensorType

    package var bytes: Int { elements * type.blockBytes }

    /// Whether anything of an operation is kept. Views are never kept: their values are their source's.
    static func keeps(_ node: Node, _ capture: Capture) -> Bool {
        !node.output.isPureView && capture.keepsValues(of: node.name)
    }

    /// - Returns: `nil` if nothing of this operation is kept.
    package init?(_ node: Node, inputs: @autoclosure () -> [Layout], tokens: Int, capture: Capture) {
        guard Self.keeps(node, capture) else { return nil }
        let shape = node.layout.shape
        let lastOnly = capture.policy == .last
        type = node.layout.type
        if case .inPlace = node.output.memory {
            let written = inputs()[0].shape.count
            part = .written(lastTokenOnly: lastOnly)
            elements = lastOnly ? written / tokens : written
        } else if lastOnly {
            part = .lastToken
            elements = shape.count / max(1, shape[node.tokenDimension])
        } else {
            part = .all
            elements = shape.count
        }
    }
}

/// Elements of an operation's output, with their indices in it.
package struct CapturedRuns: Sendable {
    package let firstElement: Int
    package let count: Int
    /// Elements of one run and from the start of one run to the next; `nil` where all is one run.
    package let runLength: Int?
    package let runStride: Int?
    package let type: TensorType
    private let source: any ByteSource
    /// Where in the source the first run begins, in bytes.
    private let start: Int

    package var data: Data { withBytes { Data($0) } }

    /// Calls `body` with the values; one run is not copied.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let size = type.blockBytes
        guard let runLength, let runStride else {
            return try source.withBytes(in: start..<start + count * size) { try $0.withUnsafeBytes(body) }
        }
        let (length, step, runs) = (runLength * size, runStride * size, count / runLength)
        let gathered = source.withBytes(in: start..<start + (runs - 1) * step + length) { bytes in
            bytes.withUnsafeBytes { from in
                [UInt8](unsafeUninitializedCapacity: runs * length) { to, written in
                    let to = UnsafeMutableRawBufferPointer(to)
                    for run in 0..<runs {
                        // Values of the cache, one of each dimension: too short for a call.
                        if length == 2 {
                            let number = from.loadUnaligned(fromByteOffset: run * step, as: UInt16.self)
                            to.storeBytes(of: number, toByteOffset: run * length, as: UInt16.self)
                        } else {
                            memcpy(to.baseAddress! + run * length, from.baseAddress! + run * step, length)
                        }
                    }
                    written = runs * length
                }
            }
        }
        return try gathered.withUnsafeBytes(body)
    }

    /// Bytes of the largest blob: well below SQLite's limit of 1e9 for a row.
    package static let maximumBytes = 1 << 28

    /// The selected elements of an evaluated node, in blobs of at most `limit` bytes.
    package static func read(
        _ selection: Selection, _ evaluation: Evaluation, tokens: Int, limit: Int = maximumBytes
    ) -> [CapturedRuns] {
        let shape = evaluation.output.shape
        let perToken = shape[evaluation.node.tokenDimension]
        switch selection.part {
        case .all:
            return contiguous(evaluation.output, from: 0, count: shape.count, limit)
        case .lastToken where evaluation.node.tokenDimension > 1:
            let plane = shape.dimensions[..<evaluation.node.tokenDimension].reduce(1, *)
            return contiguous(evaluation.output, from: (perToken - 1) * plane, count: plane, limit)
        case .lastToken:
            let starts = (0..<shape.ne2 * shape.ne3).map { ($0 * shape.ne1 + perToken - 1) * shape.ne0 }
            return strided(evaluation.output, starts: starts, length: shape.ne0, limit)
        case .written(let lastTokenOnly):
            return written(evaluation, tokens: tokens, lastTokenOnly: lastTokenOnly, limit)
        }
    }

    /// What `SET_ROWS` wrote. The keys of a pass are one run; its values, stored transposed, a run for each dimension.
    private static func written(
        _ evaluation: Evaluation, tokens: Int, lastTokenOnly: Bool, _ limit: Int
    ) -> [CapturedRuns] {
        let width = evaluation.output.shape.ne0
        var rows = evaluation.inputs[1].withRow(of: Int64.self, 0) { index in
            (0..<index.count).map { Int(index[$0]) }
        }
        if lastTokenOnly { rows.removeFirst(rows.count - rows.count / tokens) }
        rows.sort()
        var starts: [Int] = []
        for (index, row) in rows.enumerated() where index == 0 || rows[index - 1] + 1 != row {
            starts.append(row * width)
        }
        let length = rows.count / starts.count * width
        return strided(evaluation.output, starts: starts, length: length, limit)
    }

    private static func contiguous(_ tensor: Tensor, from first: Int, count: Int, _ limit: Int) -> [CapturedRuns] {
        let size = tensor.type.blockBytes
        let step = limit / size
        return stride(from: first, to: first + count, by: step).map { start in
            let length = min(step, first + count - start)
            return CapturedRuns(
                firstElement: start, count: length, runLength: nil, runStride: nil, type: tensor.type,
                source: tensor.source, start: tensor.offset + start * size)
        }
    }

    /// Whole runs, as many as fit a blob.
    ///
    /// - Precondition: the starts are evenly spaced.
    private static func strided(_ tensor: Tensor, starts: [Int], length: Int, _ limit: Int) -> [CapturedRuns] {
        if starts.count == 1 { return contiguous(tensor, from: starts[0], count: length, limit) }
        let size = tensor.type.blockBytes
        let step = starts[1] - starts[0]
        precondition(starts.indices.allSatisfy { starts[$0] == starts[0] + $0 * step }, "uneven runs")
        let perBlob = max(1, limit / (length * size))
        return stride(from: 0, to: starts.count, by: perBlob).map { first in
            let runs = starts[first..<min(first + perBlob, starts.count)]
            return CapturedRuns(
                firstElement: runs.first!, count: runs.count * length, runLength: runs.count == 1 ? nil : length,
                runStride: runs.count == 1 ? nil : step, type: tensor.type, source: tensor.source,
                start: tensor.offset + runs.first! * size)
        }
    }
}
