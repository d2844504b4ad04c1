import Foundation
import GGUF
import LlamaModel
import TestSupport
import Testing

/// `bench`: the numbers fit each other, the graph and the file. How fast anything is, is not for tests to say.
@Suite struct BenchTests {
    typealias Object = [String: Any]

    static let models = TinyModel.allCases

    private static func measure(_ model: TinyModel, _ more: String...) throws -> Outcome {
        try Workbench(model.path).quipu(["bench", "model.gguf", "-p", "16", "-n", "4", "-r", "3", "--json"] + more)
    }

    /// Of each model one measurement, at which several tests look.
    private static let outcomes = Dictionary(
        uniqueKeysWithValues: models.map { model in (model, Result { try measure(model) }) })

    private func measured(_ model: TinyModel) throws -> Object {
        let outcome = try Self.outcomes[model]!.get()
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        return try outcome.object()
    }

    @Test(arguments: models)
    func ratesFitTheirRepetitionsAndTheWeights(model: TinyModel) throws {
        let object = try measured(model)
        let file = try model.file()
        let embedding = try #require(file.tensor(named: "token_embd.weight"))
        let isTied = file.tensor(named: "output.weight") == nil
        let all = file.tensors.reduce(0) { $0 + $1.byteCount }
        let memory = try #require(object["memory_bandwidth"] as? Double)
        #expect(memory > 0 && (object["ready_ns"] as? Int ?? 0) > 0)

        for (name, tokens, passes) in [("prompt", 16, 1), ("decode", 1, 4)] {
            let phase = try #require(object[name] as? Object)
            #expect(phase["n_tokens"] as? Int == tokens && phase["n_passes"] as? Int == passes)
            let rates = try #require(phase["rates"] as? [Double]).sorted()
            #expect(rates.count == 3 && rates[0] > 0)
            let rate = try #require(phase["tokens_per_second"] as? Double)
            #expect(rate == rates[1])
            #expect(phase["tokens_per_second_min"] as? Double == rates[0])
            #expect(phase["tokens_per_second_max"] as? Double == rates[2])
            // The mean time of a pass lies between those of the fastest and the slowest repetition.
            let ns = try #require(phase["ns"] as? Double)
            let bounds = (Double(tokens) / rates[2] * 1e9, Double(tokens) / rates[0] * 1e9)
            #expect(bounds.0 <= ns * 1.000001 && ns <= bounds.1 * 1.000001)

            // Every weight once; of the embeddings one row a token, unless they are the output too.
            let rows = tokens * embedding.shape.ne0 / embedding.type.blockElements * embedding.type.blockBytes
            let weights = all - (isTied ? 0 : embedding.byteCount) + rows - (try unread(model, tokens: tokens))
            #expect(phase["weight_bytes"] as? Int == weights)
            let bytesPerSecond = try #require(phase["bytes_per_second"] as? Double)
            #expect(isClose(bytesPerSecond, Double(weights) / Double(tokens) * rate))
            #expect(isClose(try #require(phase["memory_share"] as? Double), bytesPerSecond / memory))
        }
    }

    /// Bytes of the experts that no token chooses, if each chooses others. In the last layer there is the last token only.
    private func unread(_ model: TinyModel, tokens: Int) throws -> Int {
        let loaded = try model.load()
        guard let experts = loaded.experts else { return 0 }
        return try model.file().tensors.filter { $0.name.hasSuffix("_exps.weight") }.reduce(0) { sum, tensor in
            #expect(tensor.shape.ne2 == experts.count)
            let isLast = tensor.name.hasPrefix("blk.\(loaded.configuration.layers - 1).")
            let chosen = (isLast ? 1 : tokens) * experts.used
            return sum + tensor.byteCount / experts.count * max(0, experts.count - chosen)
        }
    }

    @Test(arguments: models)
    func sharesMakeUpAPass(model: TinyModel) throws {
        let object = try measured(model)
        for name in ["prompt", "decode"] {
            let phase = try #require(object[name] as? Object)
            let ns = try #require(phase["ns"] as? Double)
            let graph = try #require(phase["graph_ns"] as? Double)
            let between = try #require(phase["between_ns"] as? Double)
            #expect(graph > 0 && between > 0)
            let lines = try lines(of: object, name)
            #expect(isClose(lines.reduce(0) { $0 + ($1["share"] as! Double) } + (graph + between) / ns, 1))
            for line in lines { #expect(isClose(line["share"] as! Double * ns, line["ns"] as? Double)) }
            let times = lines.map { $0["ns"] as! Double }
            #expect(times == times.sorted(by: >))
        }
    }

    /// The nodes, operations and bytes that `graph` lists, kind by kind. Attention of a prompt may be one.
    @Test(arguments: models)
    func linesAddUpToTheGraph(model: TinyModel) throws {
        let (bench, object) = (try Workbench(model.path), try measured(model))
        for (name, tokens) in [("prompt", "16"), ("decode", "1")] {
            let graph = try bench.quipu("graph", "model.gguf", "--tokens", tokens, "--json").object()
            var nodes = try #require(graph["nodes"] as? [Object])
            var lines = try lines(of: object, name)
            #expect(lines.reduce(0) { $0 + ($1["n"] as! Int) } == nodes.count)
            if let attention = lines.first(where: { $0["kind"] as! String == "ATTENTION" }) {
                lines.removeAll { $0["kind"] as! String == "ATTENTION" }
                let scored = nodes.filter { ($0["name"] as! String).wholeMatch(of: /(kq|kq_soft_max|kqv)-\d+/) != nil }
                #expect(name == "prompt" && attention["n"] as? Int == scored.count && !scored.isEmpty)
                #expect(attention["operand"] as? String == "cache" && attention["type"] as? String == "F16")
                // What is hidden is not computed: nearly half of all, but for the diagonal.
                let flops = scored.reduce(0) { $0 + ($1["flops"] as! Int) }
                #expect(attention["ops"] as? Double == Double(flops) * 17 / 32)
                nodes.removeAll { node in scored.contains { $0["seq"] as! Int == node["seq"] as! Int } }
            }
            let kinds = Set(nodes.map { $0["kind"] as! String })
            #expect(Set(lines.map { $0["kind"] as! String }) == kinds)
            for kind in kinds {
                let (mine, theirs) = (
                    lines.filter { $0["kind"] as! String == kind }, nodes.filter { $0["kind"] as! String == kind }
                )
                #expect(mine.reduce(0) { $0 + ($1["n"] as! Int) } == theirs.count)
                // Later decode passes attend to more positions than the graph's first one.
                guard name == "prompt" else { continue }
                let bytes = theirs.reduce(0) { $0 + ($1["bytes_read"] as! Int) + ($1["bytes_written"] as! Int) }
                #expect(mine.reduce(0) { $0 + ($1["bytes"] as! Double) } == Double(bytes))
                let flops = theirs.reduce(0) { $0 + ($1["flops"] as! Int) }
                #expect(mine.reduce(0) { $0 + ($1["ops"] as! Double) } == Double(flops))
            }
        }
    }

    @Test(arguments: models)
    func boundsFollowFromTheRoofline(model: TinyModel) throws {
        let object = try measured(model)
        let memory = try #require(object["memory_bandwidth"] as? Double)
        for line in try #require(object["ops"] as? [Object]) {
            let (ns, bytes, ops) = (line["ns"] as! Double, line["bytes"] as! Double, line["ops"] as! Double)
            #expect(isClose(line["bytes_per_second"] as? Double, ns > 0 ? bytes / ns * 1e9 : 0), "\(line)")
            #expect(isClose(line["ops_per_second"] as? Double, ns > 0 ? ops / ns * 1e9 : 0), "\(line)")
            #expect(isClose(line["intensity"] as? Double, bytes > 0 ? ops / bytes : nil), "\(line)")
            #expect((line["peak_ops_per_second"] as? Double != nil) == (ops > 0), "\(line)")
            let balance = line["balance"] as? Double
            #expect(isClose(balance, (line["peak_ops_per_second"] as? Double).map { $0 / memory }), "\(line)")
            let expected = bytes == 0 ? nil : ops / bytes < balance ?? .infinity ? "memory" : "arithmetic"
            #expect(line["bound"] as? String == expected, "\(line)")
            switch expected {
            case "memory": #expect(isClose(line["reached"] as? Double, bytes / ns * 1e9 / memory), "\(line)")
            case "arithmetic":
                #expect(isClose(line["reached"] as? Double, ops / ns * 1e9 / (balance! * memory)), "\(line)")
            default: #expect(line["reached"] is NSNull, "\(line)")
            }
        }
    }

    /// Products of each format on their own, and those with the cache.
    @Test func formatsAreToldApart() throws {
        let object = try measured(.kQuants)
        func types(_ operand: String, _ kind: String) throws -> Set<String> {
            Set(
                try lines(of: object, "decode").filter {
                    $0["kind"] as? String == kind && $0["operand"] as? String == operand
                }
                .map { $0["type"] as! String })
        }
        #expect(try types("weight", "MUL_MAT") == ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"])
        #expect(try types("cache", "MUL_MAT") == ["F16"] && types("cache", "SET_ROWS") == ["F16"])
        #expect(try types("weight", "MUL") == ["F32"] && types("weight", "GET_ROWS") == ["Q2_K"])
    }

    @Test func threadsAreThoseAskedFor() throws {
        for threads in [1, 3] {
            let outcome = try Self.measure(.gqa, "-t", "\(threads)")
            #expect(try outcome.object()["threads"] as? Int == threads)
        }
    }

    @Test func aPageShowsBothPhases() throws {
        let page = try Workbench().quipu("bench", "model.gguf", "-p", "8", "-n", "2", "-r", "1").output
        #expect(page.contains("\nprompt ") && page.contains("\ndecode "))
        #expect(page.contains("Reading a prompt of 8 tokens: ") && page.contains("Generating a token: "))
        #expect(page.contains("\nMUL_MAT F32 ") && page.contains("\nMUL_MAT cache "))
        #expect(page.contains("\nviews ") && page.contains("\nmaking the graph ") && page.contains("\nin between "))
    }

    @Test func aRunThatIsTooLongIsRefused() throws {
        for option in ["--prompt-tokens", "--decode-tokens"] {
            expectComplaint(
                try Workbench().quipu("bench", "model.gguf", option, "100000"), "needs 100000 positions", "trained for")
        }
        expectComplaint(
            try Workbench().quipu("bench", "model.gguf", "--lengths", "4,100000", "-n", "5"),
            "needs 100005 positions", "trained for")
    }

    // MARK: lengths

    @Test func lengthsAreThoseAskedFor() throws {
        let outcome = try Workbench(TinyModel.gqa.path).quipu(
            "bench", "model.gguf", "--lengths", "16,0,3", "-n", "2", "-r", "3", "-t", "1", "--json")
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        let object = try outcome.object()
        #expect(object["threads"] as? Int == 1 && object["n_decode"] as? Int == 2)
        let lines = try #require(object["lengths"] as? [Object])
        #expect(lines.map { $0["n_tokens"] as? Int } == [16, 0, 3])
        #expect(lines[1]["prompt"] is NSNull)
        for line in lines {
            let length = line["n_tokens"] as! Int
            for (name, tokens) in [("prompt", length), ("decode", 1)] where tokens > 0 {
                let phase = try #require(line[name] as? Object)
                let rates = try #require(phase["rates"] as? [Double]).sorted()
                #expect(rates.count == 3 && rates[0] > 0 && phase["tokens_per_second"] as? Double == rates[1])
                #expect(phase["tokens_per_second_min"] as? Double == rates[0])
                #expect(phase["tokens_per_second_max"] as? Double == rates[2])
                let (ns, attention) = (phase["ns"] as! Double, phase["attention_ns"] as! Double)
                #expect(0 < attention && attention < ns)
                #expect(isClose(phase["attention_share"] as? Double, attention / ns))
                // The mean time of a pass lies between those of the fastest and the slowest repetition.
                #expect(Double(tokens) / rates[2] * 1e9 <= ns * 1.000001)
                #expect(ns <= Double(tokens) / rates[0] * 1e9 * 1.000001)
            }
        }
    }

    @Test func aPageOfLengthsHasALineEach() throws {
        let page = try Workbench().quipu("bench", "model.gguf", "--lengths", "0,8", "-n", "1", "-r", "1").output
        #expect(page.contains("\ntokens  prompt, tokens/s  attention  decode, tokens/s  attention  "))
        #expect(page.contains("\n     0                 -          -  ") && page.contains("\n     8  "))
        #expect(page.contains("1 token generated after each prompt"))
    }

    private func lines(of object: Object, _ phase: String) throws -> [Object] {
        try #require(object["ops"] as? [Object]).filter { $0["phase"] as? String == phase }
    }

    /// Numbers lose a bit on their way through JSON.
    private func isClose(_ a: Double?, _ b: Double?) -> Bool {
        guard let a, let b else { return a == b }
        return abs(a - b) <= 1e-9 * max(abs(a), abs(b))
    }
}
