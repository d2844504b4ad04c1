import ComputeGraph
import GGUF
import Quantization
import Quantizing
import Tensors
import TestSupport
import Testing

/// What types would make of tensors, from all rows and from some.
@Suite struct CandidateSearchTests {
    private static let types: [TensorType] = [.q4_0, .q8_0]

    private func candidates(mostWeights: Int) throws -> [TypeCandidates] {
        let file = try GGUFFile(path: Places.package.appending(path: "models/micro-world-f16.gguf").path)
        return try CandidateSearch(
            file, importance: nil, workers: Workers(threads: 2), mostWeights: mostWeights
        ).candidates(Self.types) { _, _ in }
    }

    /// Beside the errors of `quant errors`, which goes another way.
    @Test func allRowsGiveTheErrorItself() throws {
        let file = try GGUFFile(path: Places.package.appending(path: "models/micro-world-f16.gguf").path)
        let found = try candidates(mostWeights: .max)
        #expect(found.count == 30 && found.allSatisfy { $0.uncertainty == 0 })
        for tensor in found {
            for candidate in tensor.candidates {
                let format = try #require(BlockFormats.encodableFormat(for: candidate.type))
                let error = try QuantErrors(workers: Workers(threads: 1)).errors(
                    of: tensor.tensor, in: file, as: format)
                let sum = error.statistics.rmse * error.statistics.rmse * Double(tensor.weights)
                #expect(abs(candidate.error - sum) <= 1e-9 * sum, "\(tensor.tensor.name) \(candidate.type.name)")
            }
        }
    }

    /// An estimate is off by its standard error or so: five of them never, and not by chance exact either.
    @Test func someRowsStandForAll() throws {
        let (all, some) = (try candidates(mostWeights: .max), try candidates(mostWeights: 1 << 13))
        var estimated = 0
        for (whole, part) in zip(all, some) where part.uncertainty > 0 {
            for candidate in part.candidates {
                let error = try #require(whole.candidates.first { $0.type == candidate.type }).error
                #expect(abs(candidate.error / error - 1) <= 5 * part.uncertainty, "\(part.tensor.name)")
                estimated += candidate.error == error ? 0 : 1
            }
            #expect(part.uncertainty < 0.3)
        }
        #expect(estimated >= 40)
    }
}
