import Recording
import Tensors

/// A plane of an operation's output, to be shown as a picture.
public struct StepPicture: Sendable {
    public let rows: Int
    public let columns: Int
    /// Row by row; `nil` where not captured.
    public let values: [Double?]
    /// Which of how many planes.
    public let plane: Int
    public let planes: Int
    /// Whether the rows, or the planes, are the tokens of the pass.
    public let rowsAreTokens: Bool
    public let planesAreTokens: Bool
    /// The operation whose values these are, where an operation only changes the memory of the cache.
    public let writes: String?

    /// - Parameter plane: `nil`: the last token's, or the first head's.
    /// - Throws: `TraceError.notCaptured` if there is nothing to see.
    init(of operation: RecordedOperation, plane asked: Int?, in walk: TraceWalk) throws {
        // Of the cache, what is new: what was written to it.
        let shown = try operation.isWrite ? Self.source(of: operation, in: walk) : operation
        let values = try walk.values(of: shown)
        var shape = shown.shape
        // A column of all elements, as the values are written to the cache, is a row for each token.
        if shape.ne0 == 1, shape.ne1 > 1, shape.ne2 == 1, shape.ne1 % shown.tokens == 0 {
            shape = Shape(shape.ne1 / shown.tokens, shown.tokens)
        }
        let planes = shape.ne2 * shape.ne3
        let plane = min(asked ?? Self.usualPlane(of: shown), planes - 1)
        let size = shape.ne0 * shape.ne1
        rows = shape.ne1
        columns = shape.ne0
        self.values = (plane * size..<(plane + 1) * size).map { number in
            values[shown.shape.element(at: number)].map { Double($0) }
        }
        self.plane = plane
        self.planes = planes
        rowsAreTokens = shape.ne1 == shown.tokens && (planes == 1 || shown.tokenDimension == 1)
        planesAreTokens = planes == shown.tokens && shown.tokenDimension == 2
        writes = shown.id == operation.id ? nil : shown.name
    }

    static func usualPlane(of operation: RecordedOperation) -> Int {
        operation.tokenDimension == 2 ? operation.shape.ne2 - 1 : 0
    }

    private static func source(of operation: RecordedOperation, in walk: TraceWalk) throws -> RecordedOperation {
        let input = try walk.store.inputs(of: operation).first
        return try input?.sourceOperation.flatMap(walk.store.operation(id:)) ?? operation
    }

    /// Of the last token in the plane in sight, the element of the largest magnitude.
    static func largestElement(of operation: RecordedOperation, plane: Int?, in walk: TraceWalk) throws -> ElementIndex
    {
        let values = try walk.values(of: operation)
        let shape = operation.shape
        let plane = min(plane ?? usualPlane(of: operation), shape.ne2 * shape.ne3 - 1)
        let rows = operation.tokenDimension == 1 ? shape.ne1 - 1..<shape.ne1 : 0..<shape.ne1
        var (largest, index) = (-1.0, rows.lowerBound * shape.ne0 + plane * shape.ne0 * shape.ne1)
        for row in rows {
            for column in 0..<shape.ne0 {
                let number = column + shape.ne0 * (row + shape.ne1 * plane)
                guard let value = values[shape.element(at: number)], Double(abs(value)) > largest else { continue }
                (largest, index) = (Double(abs(value)), number)
            }
        }
        return shape.element(at: index)
    }
}

/// All that a page about the operation shows.
public struct StepperView: Sendable {
    public let trace: String
    public let run: RecordedRun
    public let passes: Int
    public let pass: RecordedPass
    /// Of the pass.
    public let tokens: [RecordedToken]
    public let operations: Int
    public let layers: Int
    public let operation: RecordedOperation
    /// All operations of its layer, in order; none outside the layers.
    public let layer: [RecordedOperation]
    /// Which of several operations of its name in the pass, and how many there are.
    public let occurrence: (index: Int, of: Int)
    public let inputs: [StepInput]
    public let users: [StepUser]
    /// `nil`: nothing was captured, for the reason given.
    public let picture: StepPicture?
    public let pictureProblem: String?
    /// What the pass expected next, at its last operation.
    public let candidates: [RecordedCandidate]
    /// How many conditions `c` and `rc` stop at.
    public let stops: Int
}

extension Stepper {
    public func view() throws -> StepperView {
        let operation = try operation
        let operations = try walk.operations(step: state.location.step)
        let namesakes = operations.filter { $0.name == operation.name }
        var (picture, problem) = (StepPicture?.none, String?.none)
        do {
            picture = try StepPicture(of: operation, plane: state.plane, in: walk)
        } catch TraceError.notCaptured {
            problem = "The values were not captured (--capture \(walk.run.capture)). Trace again with --capture all."
        } catch TraceError.emptyCache {
            problem = "The cache, before anything was written to it."
        }
        let pass = walk.passes[state.location.step]
        let isHead = operation.seq == operations.count - 1
        return StepperView(
            trace: walk.store.path, run: walk.run, passes: walk.passes.count, pass: pass,
            tokens: walk.tokens(step: state.location.step), operations: operations.count, layers: walk.layers,
            operation: operation,
            layer: operation.layer == nil ? [] : operations.filter { $0.layer == operation.layer },
            occurrence: (namesakes.firstIndex { $0.id == operation.id } ?? 0, namesakes.count),
            inputs: try inputs(), users: try users(), picture: picture, pictureProblem: problem,
            candidates: isHead ? try walk.store.candidates(after: pass) : [], stops: state.stops.count)
    }
}
