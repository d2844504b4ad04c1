import Foundation
import Recording

/// What a task's function is called with on the learner's model, and what it must give.
public struct CodeCases {
    struct Answer {
        let numbers: [Double]
        let shape: [Int]
    }

    let task: CodeTask
    private(set) var answers: [Answer] = []
    private(set) var descriptions: [[String: Any]] = []
    private(set) var arrays: [[(name: String, shape: [Int], values: [Float])]] = []

    /// - Parameter seed: which blocks, tokens and heads are taken.
    public init(_ task: CodeTask, of subject: Subject, seed: Int) throws(LessonError) {
        self.task = task
        for index in 0..<task.cases {
            do {
                let evaluator = try Self.evaluator(task, subject, index, seed)
                var (described, held) = ([[String: Any]](), [(name: String, shape: [Int], values: [Float])]())
                for argument in task.arguments {
                    let value = try evaluator.value(argument.value)
                    guard let shape = try Self.shape(argument, evaluator) else {
                        described.append(["name": argument.name, "value": try Self.scalar(value, argument)])
                        continue
                    }
                    let numbers = try value.numbers(for: argument.name)
                    guard numbers.count == shape.reduce(1, *) else {
                        throw QueryProblem.mismatch(operation: "shape", found: "\(numbers.count) numbers")
                    }
                    described.append(["name": argument.name, "type": argument.type])
                    held.append((argument.name, shape, numbers.map(Float.init)))
                }
                let numbers = try evaluator.value(task.answer.value).numbers(for: "answer")
                answers.append(Answer(numbers: numbers, shape: try Self.shape(task.answer, evaluator) ?? []))
                descriptions.append(["arguments": described])
                arrays.append(held)
            } catch let problem as QueryProblem {
                throw .query(location: "\(task.file), case \(index)", problem: problem)
            } catch {
                throw .query(location: task.file, problem: .source(call: task.id, message: "\(error)"))
            }
        }
    }

    /// The queries of a case know `case`, from 0, and `seed`.
    static func evaluator(_ task: CodeTask, _ subject: Subject, _ index: Int, _ seed: Int) throws(QueryProblem)
        -> Evaluator
    {
        let own = ["case": try Query("\(index)"), "seed": try Query("\(seed)")]
        return Evaluator(subject, definitions: task.definitions.merging(own) { $1 })
    }

    static func shape(_ argument: CodeTask.Argument, _ evaluator: Evaluator) throws(QueryProblem) -> [Int]? {
        guard let query = argument.shape else { return nil }
        var shape: [Int] = []
        for size in try evaluator.value(query).numbers(for: "shape") {
            shape.append(try Value.number(size).integer(for: "shape"))
        }
        return shape
    }

    private static func scalar(_ value: Value, _ argument: CodeTask.Argument) throws(QueryProblem) -> Any {
        switch argument.type {
        case "bool": try value.truth(for: argument.name)
        case "int": try value.integer(for: argument.name)
        default: try value.number(for: argument.name)
        }
    }

    /// Writes what the harness of Python reads.
    public func write(to folder: URL) throws {
        for (index, held) in arrays.enumerated() {
            let file = try ArrayFile(path: folder.appending(path: "case-\(index).npz").path, kind: .npz, replaces: true)
            for (name, shape, values) in held { try file.add(name, shape: shape, values: values) }
            _ = try file.finish()
        }
        let json = try JSONSerialization.data(withJSONObject: ["cases": descriptions])
        try json.write(to: folder.appending(path: "cases.json"))
    }
}
