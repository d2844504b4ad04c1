import Foundation
import TestSupport
import Testing

/// `Fixtures/golden/quantize.json`: what real ggml and llama.cpp make of the fixtures' weights.
struct QuantGolden: Decodable {
    /// What a format loses on some weights.
    struct Figures: Decodable {
        let n: Int
        let rmse: Double
        let relRmse: Double
        let maxAbs: Double
        let p95Abs: Double
        /// `nil` without error.
        let sqnrDb: Double?
        let cosine: Double
    }

    /// By the names of tensors, the numbers of layers, and roles.
    struct Summary: Decodable {
        let tensors: [String: Figures]
        let layers: [String: Figures]
        let roles: [String: Figures]
    }

    /// SHA-256 of llama.cpp's file, by model and file type.
    let files: [String: [String: String]]
    /// Of stories260K by format.
    let errors: [String: Summary]
    /// Of llama.cpp's Q4_K_M of stories260K.
    let reference: Summary
    /// Of `blk.0.attn_q.weight` of tiny-kquants, by format.
    let compare: [String: Figures]

    static func load() throws -> QuantGolden {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .custom { path in
            // Keys of figures are snake case; formats and tensors keep their names.
            let name = path.last!.stringValue
            let known = ["rel_rmse": "relRmse", "max_abs": "maxAbs", "p95_abs": "p95Abs", "sqnr_db": "sqnrDb"]
            return Key(known[name] ?? name)
        }
        return try decoder.decode(
            QuantGolden.self, from: Data(contentsOf: URL(filePath: Places.fixture("golden/quantize.json"))))
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }
}

/// Expects a line of the document to hold the golden figures: sums to double precision, the quantile to its 0.4 %.
func expectFigures(
    _ line: [String: Any], _ golden: QuantGolden.Figures, _ label: String, location: SourceLocation = #_sourceLocation
) {
    func expect(_ key: String, _ value: Double, tolerance: Double) {
        let found = line[key] as? Double ?? .nan
        #expect(
            abs(found - value) <= tolerance * abs(value), "\(label): \(key) is \(found), ggml's is \(value)",
            sourceLocation: location)
    }
    expect("rmse", golden.rmse, tolerance: 1e-9)
    expect("rel_rmse", golden.relRmse, tolerance: 1e-9)
    expect("max_abs", golden.maxAbs, tolerance: 1e-15)
    expect("cosine", golden.cosine, tolerance: 1e-12)
    expect("p95_abs", golden.p95Abs, tolerance: 4e-3)
    if let decibels = golden.sqnrDb {
        expect("sqnr_db", decibels, tolerance: 1e-9)
    } else {
        #expect(line["sqnr_db"] as? String == "inf", "\(label)", sourceLocation: location)
    }
    // `quant compare` says the number of weights once, in the shape.
    if let n = line["n"] as? Int { #expect(n == golden.n, "\(label)", sourceLocation: location) }
}
