import Recording
import Stepping
import Tensors

/// The operation that the stepper stands at.
public struct StepOperationReport: Report {
    let step: Int
    let op: OpsReport.Line
    let meaning: String
    @OrNull var formula: String?
    let inputs: [StepInputLine]
    let users: [StepUserLine]
    private let card: StepCard

    private enum CodingKeys: CodingKey { case step, op, meaning, formula, inputs, users }

    public init(_ view: StepperView) {
        card = StepCard(view: view)
        step = view.operation.step
        op = OpsReport.Line(view.operation)
        meaning = OperationGlossary.meaning(of: view.operation)
        formula = view.operation.operation?.formula
        inputs = view.inputs.map(StepInputLine.init)
        users = view.users.map(StepUserLine.init)
    }

    public func page(_ style: Style) -> String { card.lines(style).joined(separator: "\n") }
}

struct StepInputLine: Encodable {
    let slot: Int
    let name: String
    /// `op`, `weight` or `given`.
    let origin: String
    @OrNull var seq: Int?
    let type: String
    let shape: [Int]
    @OrNull var fileOffset: Int?
    @OrNull var rms: Double?

    init(_ input: StepInput) {
        slot = input.slot
        name = input.name
        shape = input.shape.dimensions
        switch input.origin {
        case .operation(let source):
            (origin, seq, type, rms) = ("op", source.seq, source.type.name, source.rms)
        case .weight(let weight):
            (origin, type, fileOffset) = ("weight", weight.type, weight.fileOffset)
        case .leaf: (origin, type) = ("given", "")
        }
    }
}

struct StepUserLine: Encodable {
    let number: Int
    let seq: Int
    let name: String
    let kind: String
    let slot: Int

    init(number: Int, _ user: StepUser) {
        self.number = number
        (seq, name, kind, slot) = (user.operation.seq, user.operation.name, user.operation.kind, user.slot)
    }

    init(_ user: StepUser) { self.init(number: 0, user) }
}

/// Where an operation's inputs come from.
public struct StepInputsReport: Report {
    let inputs: [StepInputLine]

    public init(_ inputs: [StepInput]) { self.inputs = inputs.map(StepInputLine.init) }

    public func page(_ style: Style) -> String {
        var table = Table([("", .right), ("input", .left), ("from", .left), ("shape", .left), ("rms", .right)])
        for input in inputs {
            let from =
                switch input.origin {
                case "op": "op \(input.seq ?? 0)"
                case "weight": "weight, byte \(Numbers.grouped(input.fileOffset ?? 0))"
                default: "given to the pass"
                }
            table.add(
                "\(input.slot)", input.name, from, "\(input.type) \(Shape(input.shape))",
                input.rms.map { Numbers.short($0) } ?? "")
        }
        return (table.lines(style) + [style.dim("`inputs 0` goes to the operation that made input 0.")])
            .joined(separator: "\n")
    }
}

/// Who reads an operation's output.
public struct StepUsersReport: Report {
    let users: [StepUserLine]

    public init(_ users: [StepUser]) { self.users = users.enumerated().map { StepUserLine(number: $0, $1) } }

    public func page(_ style: Style) -> String {
        guard !users.isEmpty else { return "No later operation of this pass reads this output." }
        var table = Table([("", .right), ("op", .right), ("reader", .left), ("kind", .left), ("as input", .right)])
        for user in users { table.add("\(user.number)", "\(user.seq)", user.name, user.kind, "\(user.slot)") }
        return (table.lines(style) + [style.dim("`users 0` goes to reader 0.")]).joined(separator: "\n")
    }
}

/// The stops that are set.
public struct StepStopsReport: Report {
    let stops: [String]

    public init(_ stops: [StepperCommand.StopCondition]) { self.stops = stops.map(\.description) }

    public func page(_ style: Style) -> String {
        if stops.isEmpty {
            return "No stop is set. `break kq_soft_max-3`, `break layer 3`, `break kind ROPE`, `watch rms > 3`."
        }
        var table = Table([("", .right), ("stop", .whole)])
        for (number, stop) in zip(1..., stops) { table.add("\(number)", stop) }
        return (table.lines(style) + [style.dim("`delete 1` takes one away, `delete all` all.")]).joined(
            separator: "\n")
    }
}

/// A picture of an operation's output, as large as there is room for.
public struct StepHeatReport: Report {
    let name: String
    let shape: [Int]
    @OrNull var plane: Int?
    let rows: Int
    let columns: Int
    @OrNull var problem: String?
    private let view: StepperView
    private let height: Int

    private enum CodingKeys: CodingKey { case name, shape, plane, rows, columns, problem }

    public init(_ view: StepperView, height: Int = 32) {
        self.view = view
        self.height = height
        name = view.operation.name
        shape = view.operation.shape.dimensions
        plane = view.picture?.plane
        (rows, columns) = (view.picture?.rows ?? 0, view.picture?.columns ?? 0)
        problem = view.pictureProblem
    }

    public func page(_ style: Style) -> String {
        guard let picture = view.picture else { return problem ?? "" }
        return StepHeatMap(view: view, picture: picture).lines(style, rows: max(2, height)).joined(separator: "\n")
    }
}
