import Quantizing
import Tensors

/// The types of a model's tensors, for queries: those they have, or those that a file type would give them.
struct TensorTypes {
    let record: Value

    /// - Parameter part: only of tensors in whose name this is found.
    init(storedIn subject: Subject, part: String) throws(QueryProblem) {
        record = try Self.record(QuantizationPlan(copying: subject.file), part)
    }

    /// What `quipu quantize` would write, without an importance matrix.
    init(of subject: Subject, as fileType: String, part: String) throws(QueryProblem) {
        guard let mix = QuantizationMix.named(fileType) else {
            throw .unknown(name: fileType, known: QuantizationMix.available.map(\.fileType.name))
        }
        let plan: QuantizationPlan
        do {
            plan = try QuantizationPlan(subject.file, as: mix, hasImportance: false)
        } catch {
            throw .source(call: "mix", message: "\(error)")
        }
        record = try Self.record(plan, part)
    }

    private static func record(_ plan: QuantizationPlan, _ part: String) throws(QueryProblem) -> Value {
        let entries = plan.entries.filter { part.isEmpty || $0.tensor.name.contains(part) }
        guard !entries.isEmpty else { throw .source(call: part, message: "no tensor's name contains this") }
        let weights = entries.map { Double($0.tensor.shape.count) }
        let size = Double(entries.reduce(0) { $0 + $1.byteCount })
        return .record([
            "names": .texts(entries.map(\.tensor.name)), "types": .texts(entries.map(\.type.name)),
            "bits": .numbers(entries.map(\.type.bitsPerWeight)), "weights": .numbers(weights),
            "wanted_bits": .numbers(entries.map(\.wanted.bitsPerWeight)), "size": .number(size),
            "bpw": .number(8 * size / weights.reduce(0, +)),
            "fallbacks": .number(Double(entries.count(where: \.isFallback))),
        ])
    }
}
