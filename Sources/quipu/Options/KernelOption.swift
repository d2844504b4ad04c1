import ArgumentParser
import Quantization
import Tensors

/// Which instructions the inner loops of a pass use.
struct KernelOption: ParsableArguments {
    enum Choice: String, ExpressibleByArgument, CaseIterable {
        case auto, reference, portable, avx2, avxvnni, avx512, neon, neondot
    }

    @Option(
        help: """
            Inner loops: of the best instructions this processor has (auto), in Swift (reference), in plain C \
            (portable), or for one instruction set. Results are the same to the bit with any.
            """)
    var kernels = Choice.auto

    var instructions: InstructionSet { InstructionSet(rawValue: kernels.rawValue) ?? .best }

    func validate() throws {
        guard !instructions.isAvailable else { return }
        let others = InstructionSet.allCases.filter(\.isAvailable).map(\.rawValue)
        throw ValidationError(
            "this processor does not run \(kernels.rawValue); it runs \(others.joined(separator: ", "))")
    }
}
