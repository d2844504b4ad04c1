import LlamaModel
import Measuring
import Quantizing
import Recording
import Tensors

/// Two recorded runs, operation by operation.
///
/// Operations are paired by step, name and, where several have one name, order; so runs of two files of one model pair as
/// well. Views and writes to the cache are left out: their values are those of other operations.
public struct TraceDiff: Sendable {
    /// One of the two runs.
    public struct Side: Sendable {
        public let store: TraceStore
        public let run: RecordedRun

        public init(_ store: TraceStore, _ run: RecordedRun) { (self.store, self.run) = (store, run) }
    }

    /// An operation that both runs have.
    public struct Pair: Sendable {
        /// In the first run.
        public let operation: RecordedOperation
        /// Whether what both captured is the same to the bit; statistics where values were not captured.
        public let isIdentical: Bool
        /// Values compared; 0 where none were captured.
        public let count: Int
        /// Σ(b - a)² / Σa²; `nil` without values.
        public let nmse: Double?
        public let cosine: Double?
        public let maximum: Double?
        /// NMSE at the last token alone, of matrices with a column a token: where the next token is made.
        public let lastTokenNMSE: Double?
    }

    /// What the runs expect after a step.
    public struct Outlook: Sendable {
        public let step: Int
        /// Of the token before the expected one.
        public let position: Int
        public let first: Candidate
        public let second: Candidate
        /// Of the second run's distribution from the first's, in nats; `nil` without captured logits.
        public let divergence: Double?
        public var isFlipped: Bool { first.token != second.token }
    }

    public let sides: (Side, Side)
    /// Of the steps compared, in order.
    public let pairs: [Pair]
    public let outlooks: [Outlook]
    /// Steps that both runs have and that were compared.
    public let steps: Int
    /// Whether the compared steps evaluated the same tokens; the prompt alone is compared if not.
    public let hasSameTokens: Bool
    /// Operations of the compared steps that only one run has.
    public let unpaired: (Int, Int)

    public var firstDivergence: Pair? { pairs.first { !$0.isIdentical } }
    public var flips: Int { outlooks.count(where: \.isFlipped) }
    /// Whether all that can be compared is the same, and nothing is left over.
    public var isIdentical: Bool {
        firstDivergence == nil && flips == 0 && hasSameTokens && unpaired == (0, 0)
            && sides.0.run.steps == sides.1.run.steps
    }

    /// - Throws: `DiffProblem` if the runs have nothing to compare, `TraceError` if a trace cannot be read.
    public init(_ a: Side, _ b: Side) throws {
        sides = (a, b)
        let tokens = try (Self.tokens(a), Self.tokens(b))
        guard let first = tokens.0.first, let other = tokens.1.first else {
            throw DiffProblem.noSteps(path: tokens.0.isEmpty ? a.store.path : b.store.path)
        }
        guard first.count == other.count else {
            throw DiffProblem.tokens(a.store.path, first.count, b.store.path, other.count)
        }
        hasSameTokens = first == other
        // Later steps are the consequence of other tokens once one differs.
        steps = hasSameTokens ? zip(tokens.0, tokens.1).prefix { $0 == $1 }.count : 1
        var (pairs, outlooks, unpaired) = ([Pair](), [Outlook](), (0, 0))
        for step in 0..<steps {
            let found = try Self.pairs(a, b, step: step)
            pairs += found.pairs
            unpaired = (unpaired.0 + found.unpaired.0, unpaired.1 + found.unpaired.1)
            if let outlook = try Self.outlook(a, b, step: step) { outlooks.append(outlook) }
        }
        guard !(pairs.isEmpty && outlooks.isEmpty) else { throw DiffProblem.nothing(a.store.path, b.store.path) }
        if pairs.isEmpty, unpaired != (0, 0), a.run.capture != "none", b.run.capture != "none" {
            throw DiffProblem.graphs(a.store.path, b.store.path)
        }
        (self.pairs, self.outlooks, self.unpaired) = (pairs, outlooks, unpaired)
    }

    private static func tokens(_ side: Side) throws -> [[Int]] {
        let all = try side.store.tokens(of: side.run).map(\.id)
        return try side.store.passes(of: side.run).map {
            Array(all.dropFirst($0.firstPosition).prefix($0.tokens))
        }
    }

    // MARK: operations

    private struct Key: Hashable {
        let name: String
        let occurrence: Int
    }

    private static func operations(_ side: Side, _ step: Int) throws -> [(key: Key, operation: RecordedOperation)] {
        var seen: [String: Int] = [:]
        return try side.store.operations(of: side.run, step: step).compactMap { operation in
            let occurrence = seen[operation.name, default: 0]
            seen[operation.name] = occurrence + 1
            guard !operation.isView, !operation.isWrite else { return nil }
            return (Key(name: operation.name, occurrence: occurrence), operation)
        }
    }

    private static func pairs(_ a: Side, _ b: Side, step: Int) throws -> (pairs: [Pair], unpaired: (Int, Int)) {
        let (first, second) = (try operations(a, step), try operations(b, step))
        let others = Dictionary(uniqueKeysWithValues: second.map { ($0.key, $0.operation) })
        let whole = (try a.store.wholeTensors(of: a.run, step: step), try b.store.wholeTensors(of: b.run, step: step))
        var pairs: [Pair] = []
        for (key, operation) in first {
            guard let other = others[key], other.shape == operation.shape else { continue }
            if let x = whole.0[operation.seq], let y = whole.1[other.seq] {
                pairs.append(Pair(operation, try a.store.tensor(of: x).floats(), try b.store.tensor(of: y).floats()))
            } else if let (x, y) = try common(operation, a, other, b) {
                pairs.append(Pair(operation, x, y))
            } else {
                pairs.append(Pair(operation, statisticsOf: other))
            }
        }
        return (pairs, (first.count - pairs.count, second.count - pairs.count))
    }

    /// The elements that both captured; `nil` if there are none.
    private static func common(
        _ operation: RecordedOperation, _ a: Side, _ other: RecordedOperation, _ b: Side
    ) throws -> ([Float], [Float])? {
        let both: [(Float, Float)]
        do {
            both = try zip(a.store.values(of: operation, in: a.run).all, b.store.values(of: other, in: b.run).all)
                .compactMap { x, y in x.flatMap { x in y.map { (x, $0) } } }
        } catch TraceError.notCaptured { return nil }
        return both.isEmpty ? nil : (both.map(\.0), both.map(\.1))
    }

    // MARK: predictions

    private static func outlook(_ a: Side, _ b: Side, step: Int) throws -> Outlook? {
        guard let (position, first) = try a.store.prediction(of: a.run, step: step),
            let (_, second) = try b.store.prediction(of: b.run, step: step)
        else { return nil }
        return Outlook(
            step: step, position: position, first: first, second: second,
            divergence: try divergence(a, b, step: step))
    }

    private static func divergence(_ a: Side, _ b: Side, step: Int) throws -> Double? {
        func logits(_ side: Side) throws -> [Float]? {
            let whole = try side.store.wholeTensors(of: side.run, step: step)
            guard let last = whole.max(by: { $0.key < $1.key })?.value, last.role?.result == .logits else { return nil }
            return try side.store.tensor(of: last).floats()
        }
        guard let p = try logits(a), let q = try logits(b), p.count == q.count else { return nil }
        return DistributionPair(base: p.span, other: q.span).divergence
    }
}

extension TraceDiff.Pair {
    fileprivate init(_ operation: RecordedOperation, _ a: [Float], _ b: [Float]) {
        var errors = ErrorStatistics(quantiles: false)
        errors.add(reference: a.span, other: b.span)
        self.operation = operation
        isIdentical = zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
        count = a.count
        nmse = errors.normalised
        // None where one side is all zeros.
        cosine = errors.cosine.isNaN ? nil : errors.cosine
        maximum = Double(errors.maximum)
        let shape = operation.shape
        let isWhole = a.count == shape.count && shape.count == shape.ne0 * shape.ne1
        guard isWhole, shape.ne1 == operation.tokens || shape.ne1 == 1 else {
            lastTokenNMSE = nil
            return
        }
        var last = ErrorStatistics(quantiles: false)
        let start = a.count - shape.ne0
        last.add(reference: a.span.extracting(start...), other: b.span.extracting(start...))
        lastTokenNMSE = last.normalised
    }

    fileprivate init(_ operation: RecordedOperation, statisticsOf other: RecordedOperation) {
        self.operation = operation
        isIdentical =
            operation.sum == other.sum && operation.minimum == other.minimum && operation.maximum == other.maximum
            && operation.rms == other.rms && operation.nans == other.nans && operation.infinities == other.infinities
        (count, nmse, cosine, maximum, lastTokenNMSE) = (0, nil, nil, nil, nil)
    }
}

extension ErrorStatistics {
    /// Squared error over squared reference; 0 without error.
    fileprivate var normalised: Double { mse == 0 ? 0 : mse / referenceMeanSquare }
}

/// Two runs that cannot be compared.
public enum DiffProblem: InputProblem, Sendable, Equatable {
    case noSteps(path: String)
    case tokens(String, Int, String, Int)
    case nothing(String, String)
    case graphs(String, String)
    case noParent(path: String)
    case parentMissing(path: String, parent: RunReference)
}

extension DiffProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noSteps(let path):
            "\(path): the run was cut off before a step was written; there is nothing to compare."
        case .tokens(let a, let m, let b, let n):
            "the prompt of \(a) has \(m) tokens, that of \(b) has \(n); their values cannot be paired. "
                + "Compare runs of prompts of as many tokens (`quipu tokenize` counts them)."
        case .nothing(let a, let b):
            "\(a) and \(b) have nothing to compare. Trace with --capture stats or more."
        case .graphs(let a, let b):
            "no operation of \(a) has one of the same name and shape in \(b); are they of models of one kind?"
        case .noParent(let path):
            "\(path): its run has no parent to compare with; name two traces. `quipu trace --from` makes such a run."
        case .parentMissing(let path, let parent):
            "\(path): its parent, run \(parent.uuid ?? "of an earlier version") of \(parent.path), is not there any more. "
                + "Name two traces."
        }
    }
}
