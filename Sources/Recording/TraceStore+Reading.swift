import ComputeGraph
import Foundation
import GRDB
import LlamaModel
import Tensors

/// A run as a reader sees it.
public struct RecordedRun: Sendable {
    /// The file it is in.
    public let trace: String
    public let id: Int
    public let prompt: String
    public let capture: String
    public let isComplete: Bool
    public let modelID: Int
    public let modelPath: String
    /// SHA-256 of the model's bytes, lower-case hexadecimal; `nil` if the run was cut off before it was known.
    public let modelDigest: String?
    public let steps: Int
    /// Names the run, wherever its file is; `nil` in traces of earlier versions.
    public let uuid: String?
    /// The run that this one is a changed repetition of.
    public let parent: RunReference?

    /// Where the model's file is: where it was, or beside the trace if both have moved; `nil` if it is in neither.
    public func currentModelPath() -> String? {
        let folder = URL(fileURLWithPath: trace).deletingLastPathComponent()
        // Earlier versions wrote paths as typed, often from the trace's folder.
        let name = URL(fileURLWithPath: modelPath).lastPathComponent
        return [modelPath, folder.appending(path: modelPath).path, folder.appending(path: name).path].first {
            FileManager.default.fileExists(atPath: $0)
        }
    }
}

/// A token of a run as a reader sees it.
public struct RecordedToken: Sendable {
    public let position: Int
    public let id: Int
    public let piece: String
    /// `prompt` or `generated`.
    public let source: String
    /// Natural logarithm of the probability it had; `nil` where that was not computed.
    public let logProbability: Double?
}

/// A forward evaluation as a reader sees it.
public struct RecordedPass: Sendable {
    public let id: Int
    public let step: Int
    public let firstPosition: Int
    public let tokens: Int
}

/// An operation as a reader sees it.
public struct RecordedOperation: Sendable {
    public let id: Int
    public let step: Int
    public let firstPosition: Int
    public let tokens: Int
    public let seq: Int
    public let name: String
    public let kind: String
    /// What its value is in the network; `nil` only of a trace that somebody else wrote.
    public let role: NodeRole?
    public let layer: Int?
    public let type: TensorType
    public let shape: Shape
    public let parameters: String
    public let nanoseconds: Int
    public let flops: Int
    public let bytesRead: Int
    public let bytesWritten: Int
    public let count: Int
    public let sum: Double?
    public let minimum: Double?
    public let maximum: Double?
    public let mean: Double?
    public let rms: Double?
    public let std: Double?
    public let zeros: Int
    public let nans: Int
    public let infinities: Int
}

/// One input of a recorded operation.
public struct RecordedInput: Sendable {
    public let slot: Int
    public let sourceOperation: Int?
    public let weightID: Int?
    public let name: String
    public let shape: Shape

    /// More than any operation of ggml reads.
    static let mostSlots = 16
}

extension TraceStore {
    /// All runs, oldest first.
    public func runs() throws -> [RecordedRun] {
        try fetch(
            "run", by: ["id"],
            """
            SELECT run.*, path, sha256, (SELECT count(*) FROM pass WHERE run_id = run.id) AS steps
            FROM run JOIN model ON model.id = run.model_id ORDER BY run.id
            """
        ) { row in
            let uuid = try row.optionalText("parent")
            return RecordedRun(
                trace: path, id: try row.int("id"), prompt: try row.text("prompt"), capture: try row.text("capture"),
                isComplete: try row.bool("complete"), modelID: try row.int("model_id"),
                modelPath: try row.text("path"), modelDigest: try row.optionalText("sha256"),
                steps: try row.int("steps"), uuid: try row.optionalText("uuid"),
                parent: try row.optionalText("parent_path").map { RunReference(uuid: uuid, path: $0) })
        }
    }

    /// The tokens of a run, by position.
    public func tokens(of run: RecordedRun) throws -> [RecordedToken] {
        var next = 0
        return try fetch(
            "token", by: ["run_id", "position"], "SELECT * FROM token WHERE run_id = ? ORDER BY position", [run.id]
        ) { row in
            let source = try row.text("source")
            guard ["prompt", "generated"].contains(source) else {
                throw row.damage("source", expected: "prompt or generated")
            }
            defer { next += 1 }
            return RecordedToken(
                position: try row.int("position", in: next...next), id: try row.int("token_id", in: 0...Int(Int32.max)),
                piece: try row.text("piece"), source: source, logProbability: try row.real("logprob"))
        }
    }

    /// Ids of the tokens that were followed through a run.
    public func trackedTokens(of run: RecordedRun) throws -> [Int] {
        guard try has("tracked") else { return [] }
        return try fetch(
            "tracked", by: ["token_id"],
            "SELECT DISTINCT token_id FROM tracked WHERE run_id = ? ORDER BY token_id", [run.id]
        ) { try $0.int("token_id", in: 0...Int(Int32.max)) }
    }

    /// The metric of a run in words; `nil` if it has none.
    public func metric(of run: RecordedRun) throws -> String? { try text("metric", of: run) }

    /// What a run is one of, where there are several; `nil` if it is of no group.
    public func group(of run: RecordedRun) throws -> String? { try text("prompt_group", of: run) }

    private func text(_ column: String, of run: RecordedRun) throws -> String? {
        // Columns of the same version as the table.
        guard try has("tracked") else { return nil }
        return try fetch("run", by: ["id"], "SELECT id, \(column) FROM run WHERE id = ?", [run.id]) { row in
            try row.optionalText(column)
        }.first ?? nil
    }

    /// The passes of a run, by step: each goes on where the one before ended, over tokens that the trace has.
    public func passes(of run: RecordedRun) throws -> [RecordedPass] {
        let tokens = try self.tokens(of: run).count
        var (step, position) = (0, 0)
        return try fetch("pass", by: ["run_id", "step"], "SELECT * FROM pass WHERE run_id = ? ORDER BY step", [run.id])
        {
            row in
            guard position < tokens else {
                throw row.damage(
                    "first_position", expected: "no further pass: the run has \(tokens) tokens in table token")
            }
            let pass = RecordedPass(
                id: try row.int("id"), step: try row.int("step", in: step...step),
                firstPosition: try row.int("first_position", in: position...position),
                tokens: try row.int("n_tokens", in: 1...tokens - position))
            (step, position) = (step + 1, position + pass.tokens)
            return pass
        }
    }

    /// The most probable next token after a step, and the position it follows; `nil` if the step did not get there.
    public func prediction(of run: RecordedRun, step: Int) throws -> (position: Int, Candidate)? {
        try fetch(
            "logit", by: ["pass_id", "position", "rank"],
            """
            SELECT logit.* FROM logit JOIN pass ON pass.id = logit.pass_id
            WHERE pass.run_id = ? AND pass.step = ? AND lens_layer IS NULL AND rank = 0 ORDER BY position DESC LIMIT 1
            """, [run.id, step]
        ) { row in
            // A broken model's NaN is NULL.
            (
                try row.int("position"),
                Candidate(
                    token: try row.int("token_id"), piece: try row.text("piece"), logit: try row.real("logit") ?? .nan,
                    probability: try row.real("probability") ?? .nan)
            )
        }.first
    }

    /// How the run's tokens were chosen.
    public func sampling(of run: RecordedRun) throws -> Sampler.Options {
        let found = try fetch("run", by: ["id"], "SELECT id, sampling, seed FROM run WHERE id = ?", [run.id]) { row in
            let text = Data(try row.text("sampling").utf8)
            guard let numbers = try? JSONDecoder().decode([String: Double].self, from: text) else {
                throw row.damage("sampling", expected: "a JSON object of numbers")
            }
            func number(_ key: String, _ range: ClosedRange<Double>) throws -> Double? {
                guard let number = numbers[key] else { return nil }
                guard range.contains(number) else {
                    throw row.damage(
                        "sampling", found: "\(number) as \(key)", expected: "\(range.lowerBound) to \(range.upperBound)"
                    )
                }
                return number
            }
            var options = Sampler.Options()
            options.temperature = try number("temperature", 0...1e6).map { Float($0) } ?? options.temperature
            options.topK = try number("top_k", 0...1e9).map { Int($0) } ?? options.topK
            options.topP = try number("top_p", 0...1).map { Float($0) } ?? options.topP
            options.minP = try number("min_p", 0...1).map { Float($0) } ?? options.minP
            options.seed = UInt64(bitPattern: try row.bits("seed"))
            return options
        }
        guard let options = found.first else { throw TraceError.noRun(path: path) }
        return options
    }

    /// Positions the run's cache had room for: rows of what keys are written to. `nil` if no operation was recorded.
    public func cacheCells(of run: RecordedRun) throws -> Int? {
        try fetch(
            "op", by: ["id"],
            """
            SELECT op.id, op.ne1 FROM op JOIN pass ON pass.id = op.pass_id
            WHERE pass.run_id = ? AND op.role = ? LIMIT 1
            """, [run.id, NodeRole(.keyCache).rawValue]
        ) { row in try row.int("ne1", in: 1...Self.mostCells) }.first
    }

    /// Positions of the longest context that there is room for in the numbers of a graph.
    private static let mostCells = 1 << 30

    /// The run with this id, or the newest.
    public func run(id: Int? = nil) throws -> RecordedRun {
        let all = try runs()
        guard let newest = all.last else { throw TraceError.noRun(path: path) }
        guard let id else { return newest }
        guard let run = all.first(where: { $0.id == id }) else {
            throw TraceError.noSuchRun(path: path, asked: id, runs: all.map(\.id))
        }
        return run
    }

    /// The operations of one step of a run, in order.
    public func operations(of run: RecordedRun, step: Int) throws -> [RecordedOperation] {
        let operations = try operations(of: run, step: step, where: "TRUE", [])
        for (index, operation) in operations.enumerated() where operation.seq != index {
            throw damaged(
                "op", "step \(step), name \(operation.name)", "seq", found: "\(operation.seq)",
                expected: "\(index): the operations of a pass are counted from 0")
        }
        return operations
    }

    /// One operation of a step by its index in the graph; `nil` if the graph has fewer.
    public func operation(_ seq: Int, of run: RecordedRun, step: Int) throws -> RecordedOperation? {
        try operations(of: run, step: step, where: "op.seq = ?", [seq]).first
    }

    /// The first operation of a run with values that are no numbers; `nil` if there is none.
    public func firstBroken(of run: RecordedRun) throws -> RecordedOperation? {
        for step in 0..<run.steps {
            let broken = try operations(of: run, step: step, where: "op.nan + op.inf > 0", [])
            if let first = broken.first { return first }
        }
        return nil
    }

    private func operations(
        of run: RecordedRun, step: Int, where condition: String, _ values: StatementArguments
    ) throws -> [RecordedOperation] {
        guard (0..<run.steps).contains(step) else {
            throw TraceError.noPass(path: path, step: step, steps: run.steps)
        }
        return try fetch(
            "op", by: ["step", "seq"],
            """
            SELECT op.*, pass.step, pass.first_position, pass.n_tokens FROM op JOIN pass ON pass.id = op.pass_id
            WHERE pass.run_id = ? AND pass.step = ? AND \(condition) ORDER BY op.seq
            """, [run.id, step] + values, RecordedOperation.init)
    }

    /// The inputs of an operation, in order.
    public func inputs(of operation: RecordedOperation) throws -> [RecordedInput] { try inputs(ofID: operation.id) }

    func inputs(ofID id: Int) throws -> [RecordedInput] {
        var next = 0
        return try fetch(
            "op_input", by: ["op_id", "slot"], "SELECT * FROM op_input WHERE op_id = ? ORDER BY slot", [id]
        ) { row in
            defer { next += 1 }
            let source = try row.optionalInt("source_op_id")
            // Operations are evaluated in order, so that following inputs comes to an end.
            guard source ?? -1 < id else {
                throw row.damage("source_op_id", expected: "an operation before this one")
            }
            return RecordedInput(
                slot: try row.int("slot", in: next...next), sourceOperation: source,
                weightID: try row.optionalInt("weight_id"), name: try row.text("name"), shape: try row.shape())
        }
    }

    /// The operation that an address names.
    public func operation(_ address: TensorAddress, run: RecordedRun, step: Int) throws -> RecordedOperation {
        let all = try operations(of: run, step: step)
        let matches = all.filter { $0.name == address.name }
        guard !matches.isEmpty else {
            throw TraceError.noOperation(
                name: address.name, suggestions: nearest(to: address.name, in: all.map(\.name)))
        }
        guard let index = address.occurrence else { return matches.last! }
        guard matches.indices.contains(index) else {
            throw TraceError.noOccurrence(name: address.name, asked: index, count: matches.count)
        }
        return matches[index]
    }
}

extension RecordedOperation {
    /// - Throws: `TraceError.damaged`.
    init(_ row: CheckedRow) throws {
        id = try row.int("id")
        step = try row.int("step")
        firstPosition = try row.int("first_position")
        tokens = try row.int("n_tokens", in: 1...CheckedRow.largestCount)
        seq = try row.int("seq")
        name = try row.text("name")
        kind = try row.text("kind")
        role = try row.optionalText("role").flatMap(NodeRole.init)
        layer = try row.optionalInt("layer", in: 0...1 << 16)
        type = try row.type()
        shape = try row.shape()
        parameters = try row.text("params")
        nanoseconds = try row.int("ns")
        flops = try row.int("flops")
        bytesRead = try row.int("bytes_read")
        bytesWritten = try row.int("bytes_written")
        count = try row.int("n")
        sum = try row.real("sum")
        minimum = try row.real("min")
        maximum = try row.real("max")
        mean = try row.real("mean")
        rms = try row.real("rms")
        std = try row.real("std")
        zeros = try row.int("zeros")
        nans = try row.int("nan")
        infinities = try row.int("inf")
    }
}
