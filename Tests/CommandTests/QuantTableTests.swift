import Foundation
import TestSupport
import Testing

/// `quant table` and `quant sensitivity` as a user runs them.
@Suite struct QuantTableTests {
    typealias Object = [String: Any]

    private static let keys: Set = [
        "type", "size_bytes", "bpw", "perplexity", "uncertainty", "increase", "increase_uncertainty", "kld_mean",
        "kld_uncertainty", "same_top", "same_top_uncertainty", "tokens_per_second", "n_fallback",
    ]

    @Test func aTableAsJSONAndCSV() throws {
        let bench = try Workbench()
        let command = ["quant", "table", "--types", "Q8_0,q2_k,F16", "--chunks", "2"]
        let object = try bench.quipu(command + ["--json"]).object()
        let rows = try #require(object["rows"] as? [Object])
        #expect(rows.map { $0["type"] as? String } == ["Q8_0", "Q2_K", "F16"])
        for row in rows { #expect(Set(row.keys) == Self.keys) }
        #expect(object["n_tokens"] as? Int == 2 * 127)
        // F16 is what the model is.
        let base = try #require(object["base"] as? Object)
        #expect(rows[2]["kld_mean"] as? Double == 0 && rows[2]["same_top"] as? Double == 1)
        for key in ["size_bytes", "bpw", "perplexity", "uncertainty"] {
            #expect(rows[2][key] as? Double == base[key] as? Double, "\(key)")
        }
        let csv = try bench.quipu(command + ["--csv"])
        let lines = csv.output.split(separator: "\n").map { $0.split(separator: ",") }
        #expect(lines.count == 4 && Set(lines[0].map(String.init)) == Self.keys)
        let column = try #require(lines[0].firstIndex(of: "kld_mean"))
        #expect(Double(lines[2][column]) == rows[1]["kld_mean"] as? Double)
    }

    /// What the file of `quantize` and `compare` say.
    @Test func aRowIsWhatCompareSays() throws {
        let bench = try Workbench()
        #expect(try bench.quipu("quantize", ScoringTests.micro, "q.gguf", "Q3_K_M").status == 0)
        let compared = try bench.quipu("compare", ScoringTests.micro, "q.gguf", "--chunks", "2", "--json").object()
        let table = try bench.quipu("quant", "table", "--types", "Q3_K_M", "--chunks", "2", "--json").object()
        let row = try #require((table["rows"] as? [Object])?.first)
        let (kld, perplexity) = (compared["kld"] as? Object, compared["perplexity"] as? Object)
        #expect(row["kld_mean"] as? Double == kld?["mean"] as? Double)
        #expect(row["perplexity"] as? Double == perplexity?["other"] as? Double)
        #expect(row["increase_uncertainty"] as? Double == perplexity?["difference_uncertainty"] as? Double)
        #expect(row["same_top"] as? Double == compared["same_top"] as? Double)
    }

    @Test func aPageHasATableAndBars() throws {
        let outcome = try Workbench().quipu("quant", "table", "--types", "Q8_0,Q4_K_M,Q2_K,F16", "--chunks", "2")
        #expect(outcome.status == 0 && outcome.output.contains("254 tokens scored"))
        #expect(outcome.output.contains("The same as the base: F16"))
        for line in outcome.lines { #expect(line.count <= 80, "\(line)") }
        func bar(_ type: String) -> Int {
            outcome.lines.last { $0.hasPrefix(type) }?.count { $0 == "█" } ?? 0
        }
        #expect(bar("Q2_K") > bar("Q4_K_M") && bar("Q4_K_M") > bar("Q8_0"))
    }

    /// Rows of 64: no block of 256 divides them.
    @Test func fallbacksAreSaid() throws {
        let bench = try Workbench()
        try bench.addText()
        let outcome = try bench.quipu([
            "quant", "table", "model.gguf", "--file", "text.txt", "--chunk", "64", "--chunks", "1", "--types", "Q4_K_M",
        ])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("fell back to another type"))
    }

    @Test func sensitivityRanksParts() throws {
        let bench = try Workbench()
        let object = try bench.quipu("quant", "sensitivity", "--chunk", "32", "--chunks", "2", "--json").object()
        let tensors = try #require(object["tensors"] as? [Object])
        #expect(tensors.count == 30 && object["mix"] as? String == "Q4_K_M" && object["type"] as? String == "Q4_K")
        let divergences = tensors.compactMap { $0["kld"] as? Double }
        #expect(divergences.count == 30 && divergences == divergences.sorted(by: >))
        for key in ["name", "layer", "role"] { #expect(tensors.allSatisfy { $0[key] != nil }) }
        let agreement = try #require(object["agreement"] as? Object)
        let favoured = tensors.count { $0["more_bits"] as? Bool == true }
        #expect(agreement["n_more_bits"] as? Int == favoured && favoured > 0)
        let shared = tensors.prefix(favoured).count { $0["more_bits"] as? Bool == true }
        #expect(agreement["n_shared"] as? Int == shared)
        let page = try bench.quipu("quant", "sensitivity", "--by", "role", "--chunk", "32", "--chunks", "2")
        #expect(page.status == 0 && page.output.contains("Q4_K_M gives more bits to"))
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
    }

    @Test func whatIsWrongIsSaid() throws {
        let bench = try Workbench()
        expectComplaint(try bench.quipu("quant", "table", "--types", "Q4_X"), "'Q4_X'", "Q4_K_M")
        let micro = ScoringTests.micro
        expectComplaint(
            try bench.quipu("quant", "table", micro, "--types", "IQ2_XXS", "--chunks", "1"), "importance matrix",
            "--imatrix")
        expectComplaint(try bench.quipu("quant", "sensitivity", "--type", "Q4_X"), "'Q4_X'", "Q4_K")
        for command in ["table", "sensitivity"] {
            expectComplaint(try bench.quipu("quant", command, "none.gguf"), "none.gguf")
            expectComplaint(try bench.quipu("quant", command, "model.gguf"), "no text comes with this model")
        }
        expectComplaint(try bench.quipu("quant", "table", "--csv", "--json"), "--csv or --json", status: 64)
        expectComplaint(try bench.quipu("quant", "sensitivity", "--by", "row"), "row", status: 64)
    }
}
