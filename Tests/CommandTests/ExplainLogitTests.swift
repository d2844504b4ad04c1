import Foundation
import TestSupport
import Testing

@Suite struct ExplainLogitTests {
    private func bench(_ model: TinyModel = .stories) throws -> Workbench {
        let bench = try Workbench(model.path)
        let outcome = try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "--generate", "3")
        try #require(outcome.status == 0, "\(outcome.errors)")
        return bench
    }

    /// The logit at a position of the prompt is what a prompt that ends there predicts.
    @Test(arguments: [TinyModel.stories, .mixtral, .gqa])
    func anyPosition(model: TinyModel) throws {
        let bench = try bench(model)
        let ids = try bench.row("SELECT group_concat(token_id) AS ids FROM token WHERE position <= 2", of: "trace.db")
        let prefix = ["trace", "model.gguf", "--ids", ids["ids"] as! String, "-o", "short.db"]
        #expect(try bench.quipu(prefix).status == 0)
        let short = try bench.quipu("explain", "logit", "short.db", "--json").object()
        let object = try bench.quipu("explain", "logit", "trace.db", "--position", "2", "--json").object()
        #expect(object["position"] as? Int == 2 && object["token_id"] as? Int == short["token_id"] as? Int)
        for key in ["logit", "sum", "scale"] {
            let (one, other) = (try #require(object[key] as? Double), try #require(short[key] as? Double))
            // Sums in the order of another number of tokens.
            #expect(abs(one - other) <= 1e-4 * max(1, abs(other)), "\(key)")
        }
        // The generated ones have passes of their own; counted from the end, too.
        let last = try bench.quipu("explain", "logit", "trace.db", "--position=-1", "--json").object()
        let step = try bench.quipu("explain", "logit", "trace.db", "--step", "2", "--json").object()
        #expect(last["logit"] as? Double == step["logit"] as? Double && last["step"] as? Int == 2)
        expectComplaint(
            try bench.quipu("explain", "logit", "trace.db", "--position", "99"), "--position 99: the run evaluated")
        expectComplaint(
            try bench.quipu("explain", "logit", "trace.db", "--position", "1", "--step", "1"), "Usage: ", status: 64)
    }

    @Test func neuronsAreListed() throws {
        let bench = try bench(.mixtral)
        let object = try bench.quipu("explain", "logit", "trace.db", "--neurons", "3", "--json").object()
        let neurons = try #require(object["neurons"] as? [[String: Any]])
        #expect(neurons.count == 3 && (object["neuron_layers"] as? [Any])?.count == (object["layers"] as? [Any])?.count)
        for neuron in neurons {
            #expect(
                Set(neuron.keys) == ["layer", "expert", "is_shared", "neuron", "source", "activation", "value"])
        }
        let page = try bench.quipu("explain", "logit", "trace.db", "--neurons", "3")
        #expect(page.output.contains("The neurons that add most") && page.output.contains("neurons, which add"))
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
        let none = try bench.quipu("explain", "logit", "trace.db", "--neurons", "0", "--json").object()
        #expect((none["neurons"] as? [Any])?.isEmpty ?? false)
        expectComplaint(try bench.quipu("explain", "logit", "trace.db", "--neurons=-1"), "0 or more", status: 64)
    }

    @Test(arguments: TinyModel.allCases)
    func partsAreTheSum(model: TinyModel) throws {
        let bench = try bench(model)
        let object = try bench.quipu("explain", "logit", "trace.db", "--json").object()
        let best = try bench.row(
            "SELECT token_id, piece, logit FROM logit WHERE rank = 0 AND pass_id = 1", of: "trace.db")
        #expect(
            object["token_id"] as? Int == best["token_id"] as? Int
                && object["piece"] as? String == best["piece"] as? String)
        let logit = try #require(object["logit"] as? Double)
        // A Float, printed by its shortest digits here and as a Double there.
        #expect(Float(logit) == Float(try #require(best["logit"] as? Double)))
        let parts = try #require(object["parts"] as? [[String: Any]])
        let sum = try #require(object["sum"] as? Double)
        let residual = try #require(object["residual"] as? Double)
        #expect(abs(parts.reduce(0) { $0 + ($1["value"] as! Double) } - sum) <= 1e-9)
        #expect(abs(residual) <= 1e-3 && abs(sum + residual - logit) <= 1e-6)
        for part in parts { #expect(Set(part.keys) == ["name", "layer", "head", "kv_head", "expert", "value"]) }
        let chain = try #require(object["chain"] as? [String: Any])
        let weight = try #require(chain["weight"] as? [String: Any])
        let same = try bench.quipu(
            "explain", "weight", "model.gguf", weight["tensor"] as! String, "\(weight["row"]!)", "\(weight["column"]!)",
            "--json"
        ).object()
        #expect(
            weight["byte_offset"] as? Int == same["byte_offset"] as? Int
                && weight["code"] as? Int == same["code"] as? Int)
    }

    @Test func tokensAreNamedByTextOrId() throws {
        let bench = try bench()
        let byText = try bench.quipu("explain", "logit", "trace.db", "--token", " time", "--json").object()
        let id = try #require(byText["token_id"] as? Int)
        let byId = try bench.quipu("explain", "logit", "trace.db", "--token-id", "\(id)", "--json").object()
        #expect(byText["logit"] as? Double == byId["logit"] as? Double)
        let against = try bench.quipu(
            "explain", "logit", "trace.db", "--token", " time", "--against", " the", "--step", "1", "--json"
        ).object()
        #expect(against["against_piece"] as? String == " the" && abs(against["residual"] as! Double) <= 1e-3)
    }

    @Test(arguments: TinyModel.allCases)
    func pagesStayWithinThePage(model: TinyModel) throws {
        let bench = try bench(model)
        for options in [[], ["--step", "2"], ["--token-id", "7", "--against", "a"]] {
            let outcome = try bench.quipu(["explain", "logit"] + options)
            #expect(outcome.status == 0, "\(outcome.errors)")
            for line in outcome.lines where !line.contains("quipu explain weight ") {
                #expect(line.count <= 80, "\(line)")
            }
        }
    }

    @Test func whatIsWrongIsSaid() throws {
        let bench = try bench()
        expectComplaint(
            try bench.quipu("explain", "logit", "trace.db", "--token", " time and"), "not one token", "' time'")
        expectComplaint(try bench.quipu("explain", "logit", "trace.db", "--against", ""), "not one token")
        expectComplaint(try bench.quipu("explain", "logit", "trace.db", "--token-id", "100000"), "ids 0 to 511")
        expectComplaint(try bench.quipu("explain", "logit", "none.db"), "no such trace")
        expectComplaint(try bench.quipu("explain", "logit", "trace.db", "--step", "7"), "no step 7")
        expectComplaint(try bench.quipu("explain", "logit", "model.gguf"), "a GGUF model")
        expectComplaint(
            try bench.quipu("explain", "logit", "trace.db", "--model", TinyModel.gqa.path), "its bytes are not those")
        expectComplaint(try Workbench().quipu("explain", "logit"), "no trace was named")
    }
}
