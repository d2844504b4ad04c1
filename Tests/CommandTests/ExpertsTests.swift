import Foundation
import TestSupport
import Testing

/// `experts`: who went where, what was read, and other choices.
@Suite struct ExpertsTests {
    private func bench() throws -> Workbench {
        let bench = try Workbench(TinyModel.mixtral.path)
        let outcome = try bench.quipu(
            "trace", "model.gguf", "-p", "Once upon a time the dog", "--generate", "3", "-o", "trace.db")
        try #require(outcome.status == 0, "\(outcome.errors)")
        return bench
    }

    /// Of 5 experts, 2 a token, in 2 layers.
    @Test func theDocumentIsTheTrace() throws {
        let bench = try bench()
        let object = try bench.quipu("experts", "trace.db", "--json").object()
        let layers = try #require(object["layers"] as? [[String: Any]])
        #expect(layers.count == 2)
        let choices = try #require(object["choices"] as? [[String: Any]])
        // 14 tokens in the first layer and one in the last, and two passes of one token.
        let passes = 14 + 1 + 2 * 2
        #expect(choices.count == 2 * passes)
        for layer in layers {
            let load = try #require(layer["load"] as? [Int])
            let number = try #require(layer["layer"] as? Int)
            #expect(load.count == 5)
            for expert in 0..<5 {
                let mine = choices.filter { $0["layer"] as? Int == number && $0["expert"] as? Int == expert }
                #expect(load[expert] == mine.count)
            }
        }
        // What was chosen is what the probabilities say: the two largest.
        let row = try bench.row(
            """
            SELECT row(data, 0, 5) AS p FROM op JOIN tensor ON op_id = op.id JOIN pass ON pass.id = pass_id
            WHERE op.name = 'ffn_moe_probs-0' AND step = 0
            """, of: "trace.db")
        let parsed = try JSONSerialization.jsonObject(with: Data(try #require(row["p"] as? String).utf8))
        let probabilities = try #require(parsed as? [Double])
        let expected = (0..<5).sorted { probabilities[$0] > probabilities[$1] }.prefix(2)
        let found = choices.filter { $0["layer"] as? Int == 0 && $0["position"] as? Int == 0 }
        #expect(found.map { $0["expert"] as? Int } == expected.map(Optional.some))
        let weights = found.compactMap { $0["weight"] as? Double }
        #expect(abs(weights.reduce(0, +) - 1) < 1e-6)
    }

    /// F32: three matrices of 32 x 24 an expert.
    @Test func bytesOfPasses() throws {
        let bench = try bench()
        let passes = try #require(
            try bench.quipu("experts", "trace.db", "--json").object()["passes"] as? [[String: Any]])
        let expert = 3 * 32 * 24 * 4
        #expect(passes.count == 3)
        for pass in passes {
            #expect(pass["bytes_all"] as? Int == 2 * 5 * expert)
            #expect(pass["bytes_read"] as? Int == (pass["n_distinct"] as! Int) * expert)
        }
        #expect(passes[1]["n_distinct"] as? Int == 2 * 2)
        // One token of two in five; fourteen and one in the prompt.
        #expect(abs((passes[1]["share_if_even"] as! Double) - 0.4) < 1e-9)
        let even: Double = (1 - pow(0.6, 14) + 0.4) / 2
        let found = try #require(passes[0]["share_if_even"] as? Double)
        #expect(abs(found - even) < 1e-9)
    }

    @Test func thePagesFit() throws {
        let bench = try bench()
        for options in [[], ["--layer", "0"], ["--token", "-2"], ["--token", "3"], ["--step", "0"]] {
            let page = try bench.quipu(["experts", "trace.db"] + options)
            #expect(page.status == 0 && page.lines.count > 5, "\(page.errors)")
            for line in page.lines { #expect(line.count <= 80, "\(line)") }
        }
        // The last token that was generated went nowhere yet.
        let last = try bench.quipu("experts", "trace.db", "--token", "-1")
        #expect(last.status == 0 && last.output.contains("was not evaluated"))
        let token = try bench.quipu("experts", "trace.db", "--token", "0", "--json").object()
        let choices = try #require(token["choices"] as? [[String: Any]])
        #expect(choices.count == 2 && choices.allSatisfy { $0["position"] as? Int == 0 })
    }

    @Test func whatCannotBeShown() throws {
        let bench = try bench()
        expectComplaint(try bench.quipu("experts", "none.db"), "there is no such trace")
        expectComplaint(try bench.quipu("experts", "trace.db", "--layer", "7"), "layer 7 has no experts", "0, 1")
        expectComplaint(try bench.quipu("experts", "trace.db", "--token", "99"), "there is no token 99")
        expectComplaint(try bench.quipu("experts", "trace.db", "--step", "9"), "there is no step 9")
        try bench.quipu("trace", "model.gguf", "-p", "the", "--capture", "none", "-o", "n.db")
        expectComplaint(try bench.quipu("experts", "n.db"), "--capture none")
        let dense = try Workbench()
        try dense.addTrace()
        expectComplaint(try dense.quipu("experts", "trace.db"), "has no experts")
    }

    private static let prompt = "Once upon a time the dog and the cat said"

    @Test func otherChoices() throws {
        let bench = try bench()
        func effect(_ options: String...) throws -> [String: Any] {
            try bench.quipu(["experts", "what-if", "model.gguf", "-p", Self.prompt, "--json"] + options).object()
        }
        let same = try effect("--top", "2")
        #expect(same["kld_mean"] as? Double == 0 && same["top_flips"] as? Int == 0)
        let one = try effect("--top", "1")
        let bytes = try #require(one["expert_bytes"] as? [String: Int])
        let (before, after, all) = (bytes["before"]!, bytes["after"]!, bytes["all"]!)
        #expect(before == 2 * after && 2 * all == 5 * before)
        for options in [["--top", "1"], ["--force", "1:3"], ["--drop", "all:0", "--drop", "0:1"]] {
            let object = try bench.quipu(
                ["experts", "what-if", "model.gguf", "-p", Self.prompt, "--json"] + options
            ).object()
            #expect(try #require(object["kld_mean"] as? Double) > 0, "\(options)")
        }
        let page = try bench.quipu("experts", "what-if", "model.gguf", "--drop", "1:2", "-p", Self.prompt)
        #expect(page.output.contains("What if: drop expert 2 of layer 1"))
        for line in page.lines where !line.contains("gguf") { #expect(line.count <= 80, "\(line)") }
    }

    @Test func choicesThatAModelCannotMake() throws {
        let bench = try bench()
        let what = ["experts", "what-if", "model.gguf", "-p", Self.prompt]
        expectComplaint(try bench.quipu(what + ["--top", "6"]), "--top takes 1 to 5")
        expectComplaint(try bench.quipu(what + ["--top", "0"]), "--top takes 1 to 5")
        expectComplaint(try bench.quipu(what + ["--force", "0:5"]), "experts 0 to 4")
        expectComplaint(try bench.quipu(what + ["--drop", "2:0"]), "layer 2 has no experts")
        expectComplaint(
            try bench.quipu(what + ["--force", "0:1", "--force", "0:2", "--force", "all:3"]), "no more can be forced")
        expectComplaint(
            try bench.quipu(what + ["--drop", "0:1", "--drop", "0:2", "--drop", "0:3", "--drop", "0:0"]),
            "no more than 3 can be dropped")
        expectComplaint(try bench.quipu(what), "one kind of change", status: 64)
        expectComplaint(try bench.quipu(what + ["--force", "x"]), "--force", status: 64)
        let dense = try Workbench()
        expectComplaint(
            try dense.quipu("experts", "what-if", "model.gguf", "--top", "1", "-p", Self.prompt), "no experts")
    }

    /// Integers are no numbers to be set.
    @Test func changesOfARouter() throws {
        let bench = try bench()
        expectComplaint(
            try bench.quipu("trace", "--from", "trace.db", "--set", "ffn_moe_topk-1=0", "-o", "a.db"),
            "numbers of experts", "quipu experts what-if")
        let changed = try bench.quipu(
            "trace", "--from", "trace.db", "--set", "ffn_moe_weights_norm-1=0.25", "-o", "b.db")
        #expect(changed.status == 0, "\(changed.errors)")
        let object = try bench.quipu("experts", "b.db", "--layer", "1", "--json").object()
        let choices = try #require(object["choices"] as? [[String: Any]])
        #expect(choices.allSatisfy { $0["weight"] as? Double == 0.25 })
    }
}
