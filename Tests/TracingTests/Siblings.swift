import ComputeGraph
import GGUF
import LlamaModel
import Quantizing
import Recording
import TestSupport
import Testing
import Tracing

/// The embedded model, and the same in other formats: made when they are asked for.
enum Sibling {
    static let original = Places.package.appending(path: "models/micro-world-f16.gguf").path

    /// Of the families of formats, one or two each.
    static let mixes = ["Q4_0", "Q4_1", "Q5_1", "Q8_0", "Q2_K", "Q4_K_M", "IQ4_XS", "IQ3_S", "IQ3_XXS"]

    static func make(_ type: String, in folder: TemporaryFolder) throws -> Llama {
        let file = try GGUFFile(path: original)
        let mix = try #require(QuantizationMix.named(type))
        let path = folder.path("\(type).gguf")
        try ModelQuantizer(
            file: file, plan: try QuantizationPlan(file, as: mix, hasImportance: false), importance: nil,
            workers: Workers(threads: 2)
        ).write(to: path, overwrite: false)
        return try Llama(file: try GGUFFile(path: path))
    }

    static func record(
        _ type: String, generate: Int = 2, _ capture: Capture = Capture(.all)
    ) async throws -> Recorded {
        let folder = try TemporaryFolder()
        return try await Recorded(
            try make(type, in: folder), prompt: "Tom has a red ball.", generate: generate, capture, in: folder)
    }
}

extension Recorded {
    /// The pass evaluated again.
    func provenance(step: Int) throws -> Provenance {
        let replay = try Replay(store.run(), in: store, model: model)
        return Provenance(try replay.pass(step, threads: 2), of: model)
    }
}
