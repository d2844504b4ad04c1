import Foundation

/// `Fixtures/golden/perplexity.json`: how llama.cpp's logits score models on the embedded model's held-out text.
public struct ScoringGolden: Decodable, Sendable {
    public struct Scored: Decodable, Sendable {
        /// A path in the package, or `SmolLM2`.
        public let model: String
        public let chunk: Int
        public let chunks: Int
        public let textTokens: Int
        public let nTokens: Int
        public let perplexity: Double
        public let uncertainty: Double
        public let each: [Double]

        public var path: String { model == "SmolLM2" ? Places.smolLM2 : ScoringGolden.path(model) }
    }

    public struct Compared: Decodable, Sendable {
        public let base: String
        public let other: String
        public let chunk: Int
        public let chunks: Int
        public let nTokens: Int
        public let sameTop: Double
        public let sameTopUncertainty: Double
        /// By the names that reports use.
        public let kld: [String: Double]
        public let deltaP: [String: Double]
        public let perplexity: [String: Double]
    }

    public let scored: [Scored]
    public let compared: [Compared]

    public static func load() throws -> ScoringGolden {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(
            ScoringGolden.self, from: Data(contentsOf: URL(filePath: Places.fixture("golden/perplexity.json"))))
    }

    public static func path(_ name: String) -> String { Places.package.appending(path: name).path }

    public static let text = path("models/micro-world-held-out.txt")
}
