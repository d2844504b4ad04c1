import ArgumentParser
import LlamaModel
import Recording

/// Positions, or layers, as users write them: `-1`, `3,5`, `0:8`.
struct PositionList: ExpressibleByArgument {
    static let all = PositionList(slices: [.range(nil, nil)], text: ":")
    static let first = PositionList(slices: [.index(0)], text: "0")
    static let last = PositionList(slices: [.index(-1)], text: "-1")

    private let slices: [TensorAddress.Slice]
    private let text: String

    private init(slices: [TensorAddress.Slice], text: String) { (self.slices, self.text) = (slices, text) }

    init?(argument: String) {
        var slices: [TensorAddress.Slice] = []
        for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let address = try? TensorAddress("x[\(part)]"), address.slices.count == 1 else { return nil }
            slices += address.slices
        }
        (self.slices, text) = (slices, argument)
    }

    var defaultValueDescription: String { text }

    /// The positions in order, each once.
    ///
    /// - Throws: `InputError` if one lies outside.
    func resolved(in count: Int, of trace: String) throws -> [Int] {
        guard let positions = resolved(in: count) else {
            throw InputError(
                "\(trace): --positions \(text): the run evaluated positions 0 to \(count - 1); negative ones count "
                    + "from the end")
        }
        return positions
    }

    /// Whether it is one position and no range.
    var isOne: Bool {
        if slices.count == 1, case .index = slices[0] { true } else { false }
    }

    /// The steps of a run in order, each once.
    ///
    /// - Throws: `TraceError.noPass` if it has no such step.
    func steps(of run: RecordedRun) throws -> [Int] {
        if let steps = resolved(in: run.steps) { return steps }
        if isOne, let step = Int(text) { throw TraceError.noPass(path: run.trace, step: step, steps: run.steps) }
        throw InputError(
            "\(run.trace): --step \(text): the run has "
                + (run.steps == 0 ? "no steps yet" : "steps 0 to \(run.steps - 1); negative ones count from the end"))
    }

    /// The layers in order, each once.
    ///
    /// - Throws: `InputError` if the model has no such layer.
    func layers(of model: Llama) throws -> [Int] {
        let count = model.configuration.layers
        guard let layers = resolved(in: count) else {
            throw InputError(
                "\(model.file.path): --layers \(text): the model has layers 0 to \(count - 1); negative ones count from "
                    + "the end")
        }
        return layers
    }

    private func resolved(in count: Int) -> [Int]? {
        var numbers: Set<Int> = []
        for slice in slices {
            guard let range = slice.resolved(in: count) else { return nil }
            numbers.formUnion(range)
        }
        return numbers.sorted()
    }
}
