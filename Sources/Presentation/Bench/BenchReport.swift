import LlamaModel
import Measuring

/// The result of `bench`.
public struct BenchReport: Report {
    struct Phase: Encodable {
        /// Of one pass.
        let nTokens: Int
        /// Of one repetition.
        let nPasses: Int
        /// The median of `rates`.
        let tokensPerSecond: Double
        let tokensPerSecondMin: Double
        let tokensPerSecondMax: Double
        /// A value a repetition.
        let rates: [Double]
        /// Wall time of a pass on average; of it, until the graph is built, and neither that nor in operations.
        let ns: Double
        let graphNs: Double
        let betweenNs: Double
        /// Weights that one pass reads.
        let weightBytes: Int
        /// Of weights, at the median rate.
        let bytesPerSecond: Double
        let memoryShare: Double

        init(_ phase: Benchmark.Phase, bandwidth: Double) {
            nTokens = phase.tokens
            nPasses = phase.passes
            tokensPerSecond = phase.rate
            tokensPerSecondMin = phase.rates.min()!
            tokensPerSecondMax = phase.rates.max()!
            rates = phase.rates
            ns = phase.passNanoseconds
            graphNs = phase.graphNanoseconds
            betweenNs = phase.betweenNanoseconds
            weightBytes = phase.weightBytes
            bytesPerSecond = phase.bytesPerSecond
            memoryShare = phase.bytesPerSecond / bandwidth
        }
    }

    /// A group of operations in one pass.
    struct Line: Encodable {
        /// `prompt` or `decode`.
        let phase: String
        let kind: String
        /// Of the weight or the cache that it reads or writes.
        @OrNull var type: String?
        /// `weight` or `cache`.
        @OrNull var operand: String?
        let n: Int
        let ns: Double
        /// Of the pass's wall time.
        let share: Double
        let bytes: Double
        let ops: Double
        let bytesPerSecond: Double
        let opsPerSecond: Double
        /// Operations a byte, and at how many memory and arithmetic take equally long.
        @OrNull var intensity: Double?
        @OrNull var balance: Double?
        /// Operations a second on cached operands.
        @OrNull var peakOpsPerSecond: Double?
        /// `memory` or `arithmetic`.
        @OrNull var bound: String?
        /// What is reached of the rate that the bound allows.
        @OrNull var reached: Double?

        init(_ row: RooflineRow, phase: String) {
            self.phase = phase
            kind = row.group.kind
            type = row.group.type?.name
            operand = row.group.role.map { "\($0)" }
            n = row.nodes
            ns = row.nanoseconds
            share = row.share
            bytes = row.bytes
            ops = row.operations
            bytesPerSecond = row.bytesPerSecond
            opsPerSecond = row.operationsPerSecond
            intensity = row.intensity
            balance = row.balance
            peakOpsPerSecond = row.peak
            bound = row.bound?.rawValue
            reached = row.reached
        }
    }

    let model: String
    let threads: Int
    /// From opening the file until a pass could start.
    let readyNs: Int
    /// Bytes a second that all threads together read.
    let memoryBandwidth: Double
    let prompt: Phase
    let decode: Phase
    let ops: [Line]

    public init(_ benchmark: Benchmark, model: Llama, threads: Int, readyNs: Int) {
        self.model = model.file.path
        self.threads = threads
        self.readyNs = readyNs
        memoryBandwidth = benchmark.memoryBandwidth
        prompt = Phase(benchmark.prompt, bandwidth: benchmark.memoryBandwidth)
        decode = Phase(benchmark.decode, bandwidth: benchmark.memoryBandwidth)
        ops =
            benchmark.prompt.operations.map { Line($0, phase: "prompt") }
            + benchmark.decode.operations.map { Line($0, phase: "decode") }
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let facts = "\(Numbers.count(threads, "thread")), ready in \(Numbers.duration(nanoseconds: readyNs))"
        let lines = [style.bold(model), facts, ""] + rateLines(style) + [""]
        let tables =
            operationLines(prompt, "prompt", "Reading a prompt of \(Numbers.count(prompt.nTokens, "token"))", style)
            + [""] + operationLines(decode, "decode", "Generating a token", style)
        return (lines + tables + [""] + Self.legend.map(style.dim)).joined(separator: "\n")
    }

    private func rateLines(_ style: Style) -> [String] {
        var table = Table([
            ("", .left), ("tokens/s", .right), ("lowest", .right), ("highest", .right), ("weights a pass", .right),
            ("GB/s", .right), ("of memory", .right),
        ])
        for (name, phase) in [("prompt", prompt), ("decode", decode)] {
            table.add(
                name, Self.rate(phase.tokensPerSecond), Self.rate(phase.tokensPerSecondMin),
                Self.rate(phase.tokensPerSecondMax), "\(Numbers.fixed(Double(phase.weightBytes) / 1e6, 1)) MB",
                Self.giga(phase.bytesPerSecond), Numbers.percent(phase.memoryShare))
        }
        return table.lines(style)
            + ["Memory, read by \(Numbers.count(threads, "thread")): \(Self.giga(memoryBandwidth)) GB/s"]
    }

    private func operationLines(_ phase: Phase, _ name: String, _ title: String, _ style: Style) -> [String] {
        var table = Table([
            ("operation", .left), ("time", .right), ("%", .right), ("GB/s", .right), ("Gop/s", .right),
            ("op/B", .right), ("balance", .right), ("bound by", .left),
        ])
        func add(_ what: String, _ ns: Double, _ facts: [String] = ["-", "-", "-", "-", ""]) {
            let share = Numbers.fixed(ns / phase.ns * 100, 1)
            table.add([what, Numbers.duration(nanoseconds: Int(ns)), share] + facts)
        }
        let lines = ops.filter { $0.phase == name }
        for line in lines where line.bytes > 0 {
            let operand = line.operand == "cache" ? line.operand : line.type
            let facts = [
                Self.short(line.bytesPerSecond / 1e9), line.ops > 0 ? Self.short(line.opsPerSecond / 1e9) : "-",
                line.intensity.map(Self.short) ?? "-", line.balance.map(Self.short) ?? "-",
                "\(line.bound!) \(Numbers.fixed(line.reached! * 100, 0)) %",
            ]
            add([line.kind, operand].compactMap { $0 }.joined(separator: " "), line.ns, facts)
        }
        add("views", lines.reduce(0) { $0 + ($1.bytes > 0 ? 0 : $1.ns) })
        add("making the graph", phase.graphNs)
        add("in between", phase.betweenNs)
        return [style.bold("\(title): \(Numbers.duration(nanoseconds: Int(phase.ns)))")] + table.lines(style)
    }

    static func rate(_ value: Double) -> String { Numbers.fixed(value, value < 100 ? 1 : 0) }

    private static func giga(_ perSecond: Double) -> String { Numbers.fixed(perSecond / 1e9, 1) }

    /// Three digits: `0.21`, `12.3`, `121`.
    private static func short(_ value: Double) -> String {
        Numbers.fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0)
    }

    private static let legend = [
        "GB/s: what an operation reads and writes, wherever it lies. Gop/s: a multiply-",
        "add counts as two, an exponential as one. Balance: the operations per byte",
        "(op/B) at which memory and arithmetic take equally long, that is the Gop/s of",
        "the same operation on cached operands over the GB/s of memory. With less op/B",
        "memory is the bound, with more arithmetic; the share is what is reached of that",
        "bound.",
    ]
}
