import Foundation
import TestSupport
import Testing

@Suite struct PropagateTests {
    private static let prompt = "Mia has the red ball. Who has the ball?"

    private func bench() throws -> Workbench { try Workbench(Places.microWorld) }

    @Test func theWholeStoryOnOnePage() throws {
        let page = try bench().quipu("propagate", "model.gguf", "-p", Self.prompt, "--as", "Q4_0")
        #expect(page.status == 0 && page.errors == "")
        #expect(page.lines[0] == "Error propagation of model.gguf")
        #expect(page.lines[1].hasPrefix("as Q4_0, against its own weights as F32; matrices in Q4_0, Q6_K"))
        for part in [
            "\nweights only", "\nactivations only", "\nboth, the real run", "\nresult_output", "\nWhere it enters",
            "\nWhere it jumps", "\nWho does it", "\nembedding ",
        ] { #expect(page.output.contains(part), "\(part)") }
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
        #expect(!page.output.contains("left out"))
    }

    @Test func documentHasEveryOperationByCause() throws {
        let bench = try bench()
        let document = try bench.quipu("propagate", "model.gguf", "-p", Self.prompt, "--as", "Q4_0", "--json").object()
        let ops = try #require(document["ops"] as? [[String: Any]])
        #expect(
            ops.count > 80 && ops.first?["name"] as? String == "embd" && ops.last?["name"] as? String == "result_output"
        )
        for op in ops {
            #expect(Set(op.keys).isSuperset(of: ["seq", "name", "kind", "layer", "local", "accumulated"]))
            let accumulated = try #require(op["accumulated"] as? [String: [String: Any]])
            #expect(Set(accumulated.keys) == ["weights", "activations", "both"])
            #expect(Set(accumulated["both"]!.keys).isSuperset(of: ["mse", "rmse", "max_abs", "sqnr_db", "cosine"]))
        }
        // A softmax reads no weight and so has no error of its own.
        let softmax = try #require(ops.first { $0["kind"] as? String == "SOFT_MAX" })
        #expect(softmax["local"] is NSNull)
        let causes = try #require(document["causes"] as? [String: [String: Any]])
        let tokens = try #require(document["prompt_ids"] as? [Int])
        for cause in ["weights", "activations", "both"] {
            let kld = try #require(causes[cause]?["kld"] as? [Double])
            #expect(kld.count == tokens.count && kld.allSatisfy { $0 > 0 })
            #expect(abs(kld.reduce(0, +) / Double(kld.count) - (causes[cause]?["kld_mean"] as? Double ?? -1)) < 1e-12)
        }
        let shares = try #require(document["shares"] as? [[String: Any]])
        #expect(shares.map { $0["part"] as? String } == ["embedding", "layer", "layer", "layer", "layer", "output"])
        #expect(abs(shares.reduce(0) { $0 + ($1["share"] as? Double ?? 0) } - 1) < 1e-9)
        let without = try bench.quipu(
            "propagate", "model.gguf", "-p", Self.prompt, "--as", "Q4_0", "--json", "--no-shares"
        ).object()
        #expect(without["shares"] is NSNull)
    }

    /// A file that was written, and the same made for the moment.
    @Test func baseAndAsAreTheSame() throws {
        let bench = try bench()
        try bench.quipu("quantize", "model.gguf", "q4.gguf", "Q4_0")
        func ops(_ arguments: String...) throws -> NSArray {
            let outcome = try bench.quipu(["propagate"] + arguments + ["-p", Self.prompt, "--json"])
            return try #require(try outcome.object()["ops"] as? NSArray, "\(outcome.errors)")
        }
        #expect(try ops("q4.gguf", "--base", "model.gguf") == ops("model.gguf", "--as", "q4_0"))
    }

    /// `compare` scores the later half of a chunk; at those positions both commands say the same.
    @Test(arguments: ["F16", "Q4_0"])
    func divergenceIsThatOfCompare(type: String) throws {
        let bench = try bench()
        try bench.quipu("quantize", "model.gguf", "f32.gguf", "F32")
        try bench.quipu("quantize", "model.gguf", "other.gguf", type)
        let text = String(repeating: "Mia has the red ball. Tom is at the lake. Who has the ball? Mia. ", count: 2)
        let words = try bench.quipu("tokenize", "other.gguf", text, "--json").object()
        let ids = try #require(words["ids"] as? [Int])
        try bench.folder.write(text, to: "text.txt")
        let compared = try bench.quipu(
            "compare", "f32.gguf", "other.gguf", "--file", "text.txt", "--chunk", "\(ids.count)", "--json"
        ).object()
        let found = try bench.quipu(
            "propagate", "other.gguf", "--base", "f32.gguf", "-p", text, "--no-shares", "--json"
        ).object()
        #expect(found["prompt_ids"] as? [Int] == ids)
        let both = try #require((found["causes"] as? [String: [String: Any]])?["both"]?["kld"] as? [Double])
        let scored = both[(ids.count / 2)..<(ids.count - 1)]
        let mean = try #require((compared["kld"] as? [String: Any])?["mean"] as? Double)
        #expect(mean > 0 && abs(scored.reduce(0, +) / Double(scored.count) - mean) <= 1e-12 + 1e-9 * mean)
    }

    @Test func aFileAgainstItselfSaysWhatIsNotSeen() throws {
        let bench = try bench()
        let alone = try bench.quipu("propagate", "model.gguf", "-p", Self.prompt)
        #expect(alone.output.contains("The weights have no error"))
        #expect(alone.output.contains("--base FILE") && alone.output.contains("Q4_K_M shows what quantising"))
        try bench.quipu("quantize", "model.gguf", "f32.gguf", "F32")
        let exact = try bench.quipu("propagate", "f32.gguf", "-p", Self.prompt)
        #expect(exact.output.contains("No error at all") && !exact.output.contains("Where it jumps"))
    }

    @Test func recordsTheRunWithItsErrors() throws {
        let bench = try bench()
        try bench.quipu("quantize", "model.gguf", "q4.gguf", "Q4_0")
        let arguments = [
            "propagate", "q4.gguf", "--base", "model.gguf", "-p", Self.prompt, "-o", "p.db", "--no-shares",
        ]
        let first = try bench.quipu(arguments + ["--json"])
        #expect(first.status == 0 && first.errors.contains("wrote p.db"))
        let ops = try #require(try first.object()["ops"] as? [[String: Any]])
        for name in ["l_out-2", "Qcur-1", "result_output"] {
            let op = try #require(ops.first { $0["name"] as? String == name })
            let errors = try #require(op["accumulated"] as? [String: [String: Any]])
            let row = try bench.row(
                """
                SELECT e.* FROM op_error AS e JOIN op ON op.id = op_id
                WHERE seq = \(op["seq"] as? Int ?? -1) AND mode = 'accumulated' AND cause = 'weights'
                """, of: "p.db")
            #expect(row["mse"] as? Double == errors["weights"]?["mse"] as? Double)
            #expect(row["sqnr_db"] as? Double == errors["weights"]?["sqnr_db"] as? Double)
            #expect(row["reference"] as? String == "model.gguf")
        }
        let counts = try bench.row(
            "SELECT count(*) AS n, sum(mode = 'local') AS local, sum(sqnr_db IS NULL) AS exact FROM op_error",
            of: "p.db")
        #expect((counts["n"] as? Int ?? 0) == 3 * ops.count + (counts["local"] as? Int ?? 0))
        #expect((counts["local"] as? Int ?? 0) == 3 * ops.count { !($0["local"] is NSNull) })
        let layer = try bench.row("SELECT sqnr_db_out FROM v_layer WHERE layer = 3", of: "p.db")
        #expect((layer["sqnr_db_out"] as? Double ?? 0) > 5)

        expectComplaint(try bench.quipu(arguments), "p.db exists already")
        #expect(try bench.quipu(arguments + ["--append"]).status == 0)
        #expect(try bench.row("SELECT count(*) AS n FROM run", of: "p.db")["n"] as? Int == 2)
        #expect(try bench.quipu(arguments + ["--force"]).status == 0)
        #expect(try bench.row("SELECT count(*) AS n FROM run", of: "p.db")["n"] as? Int == 1)
        // What was recorded is a trace like others.
        #expect(try bench.quipu("ops", "--layer", "1").status == 0)
    }

    @Test func problemsOfTheInput() throws {
        let bench = try bench()
        func propagate(_ arguments: String...) throws -> Outcome {
            try bench.quipu(["propagate", "model.gguf", "-p", "Mia"] + arguments)
        }
        expectComplaint(try propagate("--base", TinyModel.gqa.path), "are not the same model", "--base takes")
        expectComplaint(try propagate("--base", "no.gguf"), "no.gguf")
        expectComplaint(try propagate("--as", "Q9"), "'Q9' is no file type", "Q4_K_M")
        expectComplaint(try propagate("--as", "IQ2_XXS"), "importance")
        expectComplaint(try propagate("--base", "model.gguf", "--as", "Q4_0"), "not both", status: 64)
        expectComplaint(try propagate("--as", "Q4_0", "-o", "p.db"), "quipu quantize", status: 64)
        expectComplaint(try propagate("--force"), "go with --output", status: 64)
        expectComplaint(try propagate("-o", "p.db", "--force", "--append"), "give one of them", status: 64)
        expectComplaint(try propagate("--limit", "-1"), "--limit", status: 64)
        expectComplaint(try bench.quipu("propagate", "model.gguf"), "--prompt", status: 64)
        let long = String(repeating: " ball", count: 300)
        expectComplaint(try bench.quipu("propagate", "model.gguf", "-p", long, "-o", "long.db"), "256")
        expectComplaint(try propagate("--base", TinyModel.gqa.path, "-o", "other.db"), "are not the same model")
        #expect(!bench.exists("long.db") && !bench.exists("other.db"))
        expectComplaint(try propagate("-o", "no/p.db"), "there is no folder")
    }
}
