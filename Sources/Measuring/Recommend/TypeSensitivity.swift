import ComputeGraph
import GGUF
import LlamaModel
import Quantization
import Quantizing
import RealModule
import Tensors

/// What each type of each tensor does to a model's predictions: measured as far as time goes, estimated beyond.
///
/// Measured is the mean KL divergence with this one tensor in this type. First all tensors of a role together, of large ones
/// some, then each tensor at the type nearest to the budget, then other types. What is not measured is estimated from the
/// nearest that is: a small change of weights moves the divergence with its square, so in proportion to the weighted squared
/// error.
public struct TypeSensitivity {
    public let tensors: [TypeCandidates]
    /// Measured divergences: by tensor, then by candidate.
    public private(set) var measured: [[Int: Double]]
    /// Of each role: divergence for a unit of weighted squared error, all its tensors together.
    private var roleFactors: [String: Double] = [:]
    private let base: BaseLogits
    private let threads: Int
    private let instructions: InstructionSet
    private let search: CandidateSearch
    /// The candidate that each tensor is measured at first.
    private let probes: [Int]

    public init(
        _ tensors: [TypeCandidates], bits: Double, on base: BaseLogits, _ search: CandidateSearch, threads: Int,
        instructions: InstructionSet = .best
    ) {
        (self.tensors, self.base, self.search) = (tensors, base, search)
        (self.threads, self.instructions) = (threads, instructions)
        measured = Array(repeating: [:], count: tensors.count)
        probes = tensors.map { $0.nearest(bits: bits) }
    }

    // MARK: measuring

    /// What was measured, to be kept.
    public var measurements: SensitivityMeasurements {
        var kept = SensitivityMeasurements(work: base.fingerprint(with: search.importance))
        kept.roles = roleFactors
        for (index, found) in measured.enumerated() {
            let tensor = tensors[index]
            for (option, value) in found {
                kept.tensors[tensor.tensor.name, default: [:]][tensor.candidates[option].type.name] = value
            }
        }
        return kept
    }

    /// Begins with what was measured before; of other tensors and types it is passed over.
    ///
    /// - Returns: whether it is of the same model, text and importance matrix; if not, nothing is taken.
    public mutating func take(_ kept: SensitivityMeasurements) -> Bool {
        guard kept.work == base.fingerprint(with: search.importance) else { return false }
        roleFactors = kept.roles
        for (index, tensor) in tensors.enumerated() {
            for (option, candidate) in tensor.candidates.enumerated() {
                if let value = kept.tensors[tensor.tensor.name]?[candidate.type.name] {
                    measured[index][option] = value
                }
            }
        }
        return true
    }

    /// - Parameters:
    ///   - deadline: when no further measurement is begun; `nil`: never.
    ///   - keep: called after each measurement.
    ///   - progress: called with the measurements done and those there could be; what it throws ends the work.
    public mutating func measure(
        until deadline: ContinuousClock.Instant?, keep: (TypeSensitivity) throws -> Void = { _ in },
        progress: @escaping (_ done: Int, _ total: Int) throws -> Void
    ) throws {
        let roles = roles.mapValues(standingForAll)
        let total = roles.count + coverage.all - coverage.measured
        var done = 0
        func isOver() -> Bool { deadline.map { ContinuousClock.now >= $0 } ?? false }
        for (role, members) in roles.sorted(by: { $0.key < $1.key })
        where roleFactors[role] == nil && !isOver() {
            let found = try divergence(of: members.map { ($0, probes[$0]) }) { try progress(done, total) }
            let error = members.reduce(0.0) { $0 + tensors[$1].candidates[probes[$1]].error }
            if error > 0 { roleFactors[role] = found / error }
            // A role of one tensor has been measured with this.
            if members.count == 1 { measured[members[0]][probes[members[0]]] = found }
            done += 1
            try keep(self)
        }
        for index in jobs({ [(index: $0, option: probes[$0])] }) where !isOver() {
            measured[index.index][index.option] = try divergence(of: [index]) { try progress(done, total) }
            done += 1
            try keep(self)
        }
        let rest = jobs { index in
            tensors[index].candidates.indices.filter { $0 != probes[index] }.map { (index, $0) }
        }
        for job in rest where !isOver() {
            measured[job.index][job.option] = try divergence(of: [job]) { try progress(done, total) }
            done += 1
            try keep(self)
        }
        try progress(total, total)
    }

    /// Tensors of a role that are measured in place of all, spread over the layers: writing billions of weights takes minutes.
    private func standingForAll(_ members: [Int]) -> [Int] {
        let weights = members.reduce(0) { $0 + tensors[$1].weights }
        let count = max(1, min(members.count, members.count * Self.mostWeightsOfRole / max(1, weights)))
        return (0..<count).map { members[(2 * $0 + 1) * members.count / (2 * count)] }
    }

    private static let mostWeightsOfRole = 1 << 27

    /// What is to be measured of each tensor and is not yet; what is expected to matter most comes first.
    private func jobs(_ options: (Int) -> [(index: Int, option: Int)]) -> [(index: Int, option: Int)] {
        tensors.indices.flatMap(options)
            .filter { measured[$0.index][$0.option] == nil && tensors[$0.index].candidates[$0.option].error > 0 }
            .map { (job: $0, expected: estimate($0.index, $0.option)) }
            .sorted { ($1.expected, $0.job.index, $0.job.option) < ($0.expected, $1.job.index, $1.job.option) }
            .map(\.job)
    }

    private func divergence(
        of changes: [(index: Int, option: Int)], progress: @escaping () throws -> Void
    ) throws -> Double {
        var replaced: [String: Tensor] = [:]
        for (index, option) in changes {
            let info = tensors[index].tensor
            replaced[info.name] = try search.tensor(info, as: tensors[index].candidates[option].type)
        }
        return try base.measure(replacing: replaced, threads: threads, instructions: instructions) { _ in try progress()
        }
        .divergence.meanDivergence.value
    }

    // MARK: what is known

    /// The divergence that a type of a tensor is expected to make; what was measured, if it was.
    public func expected(_ index: Int, _ option: Int) -> Double {
        measured[index][option] ?? estimate(index, option)
    }

    private func estimate(_ index: Int, _ option: Int) -> Double {
        let candidates = tensors[index].candidates
        let error = candidates[option].error
        guard error > 0 else { return 0 }
        let nearest = measured[index].keys.filter { $0 != option && candidates[$0].error > 0 }.min {
            let (a, b) = (distance(candidates[$0].error, error), distance(candidates[$1].error, error))
            return (a, $0) < (b, $1)
        }
        if let nearest { return measured[index][nearest]! * error / candidates[nearest].error }
        return (roleFactors[WeightName(tensors[index].tensor.name).role] ?? meanFactor) * error
    }

    private func distance(_ a: Double, _ b: Double) -> Double { abs(Double.log(a / b)) }

    private var meanFactor: Double {
        roleFactors.isEmpty ? 1 : roleFactors.values.reduce(0, +) / Double(roleFactors.count)
    }

    /// Measurements of single tensors, and how many there could have been.
    public var coverage: (measured: Int, all: Int) {
        (
            measured.reduce(0) { $0 + $1.count },
            tensors.reduce(0) { $0 + $1.candidates.count { $0.error > 0 } }
        )
    }

    /// By what factor an estimate from one type's measurement misses another's, at the median over all that were
    /// measured besides the first; `nil` if none was.
    public var estimateFactor: Double? {
        medianFactor(
            tensors.indices.flatMap { index -> [Double] in
                let (probe, candidates) = (probes[index], tensors[index].candidates)
                guard let first = measured[index][probe], first > 0 else { return [] }
                return measured[index].filter { $0.key != probe && $0.value > 0 }.map { option, found in
                    first * candidates[option].error / candidates[probe].error / found
                }
            })
    }

    /// By what factor an estimate from its role misses a tensor, at the median over those that were measured alone, of roles
    /// with several; `nil` if none was.
    public var roleFactor: Double? {
        medianFactor(
            roles.flatMap { role, members -> [Double] in
                guard members.count > 1, let factor = roleFactors[role] else { return [] }
                return members.compactMap { index in
                    guard let found = measured[index][probes[index]], found > 0 else { return nil }
                    return factor * tensors[index].candidates[probes[index]].error / found
                }
            })
    }

    private func medianFactor(_ ratios: [Double]) -> Double? {
        let misses = ratios.filter { $0 > 0 }.map { abs(Double.log($0)) }.sorted()
        return misses.isEmpty ? nil : Double.exp(misses[misses.count / 2])
    }

    private var roles: [String: [Int]] {
        Dictionary(grouping: tensors.indices) { WeightName(tensors[$0].tensor.name).role }
    }

    // MARK: an allocation

    /// By how much divergence the plan is expected to have, each tensor for itself.
    public func allocation(budget: Int) -> TypeAllocation? {
        TypeAllocation(
            tensors.indices.map { index in
                tensors[index].candidates.indices.map {
                    .init(bytes: tensors[index].candidates[$0].bytes, cost: expected(index, $0))
                }
            }, budget: budget)
    }
}

/// Measured divergences, to begin with another time.
public struct SensitivityMeasurements: Codable, Sendable, Equatable {
    /// Differs where model, text or importance matrix do.
    public let work: String
    /// By tensor, then by type.
    public var tensors: [String: [String: Double]] = [:]
    /// By role: divergence for a unit of weighted squared error.
    public var roles: [String: Double] = [:]

    init(work: String) { self.work = work }
}

extension BaseLogits {
    /// Differs where the model, its predictions on the text, or the importances do.
    fileprivate func fingerprint(with importance: ImportanceMatrix?) -> String {
        var fingerprint = Fingerprint(model, text)
        // What the model makes of the text tells its weights from others in the same shapes.
        for logits in rows {
            fingerprint.add(
                logits.row(0).prefix(64).flatMap { number in
                    (0..<4).map { UInt8(truncatingIfNeeded: number.bitPattern >> (8 * $0)) }
                })
        }
        for (name, values) in (importance?.values ?? [:]).sorted(by: { $0.key < $1.key }) {
            fingerprint.add("\(name) \(values.prefix(64));".utf8)
        }
        return fingerprint.hexDigits
    }
}
