import Recording
import Tensors
import Tracing

/// Where a walk stands and what it will stop at: all that a stepper remembers.
public struct StepperState: Hashable, Sendable {
    public var location: StepLocation
    public var stops: [StepperCommand.StopCondition] = []
    /// The plane looked at in tensors of three dimensions; `nil`: the last token's, or the first head's.
    public var plane: Int?
    /// Where `back` leads, newest last.
    var trail: [StepLocation] = []
    var wanted: String?
    var reverseWatch: WatchExpression?

    public init(location: StepLocation) { self.location = location }
}

/// Walks through a recorded run in both directions.
///
/// Commands change the state; what they need they read from the trace, and of the model only what the trace lacks.
public struct Stepper {
    public let walk: TraceWalk
    public internal(set) var state: StepperState
    let model: StepModel
    /// Asked between operations of a long search.
    let isCancelled: () -> Bool

    public init(
        _ walk: TraceWalk, model: StepModel, state: StepperState? = nil, isCancelled: @escaping () -> Bool = { false }
    ) throws {
        self.walk = walk
        self.model = model
        self.isCancelled = isCancelled
        self.state = state ?? StepperState(location: walk.first)
        self.state.location = try walk.clamped(self.state.location)
    }

    public var operation: RecordedOperation {
        get throws { try walk.operation(at: state.location) }
    }

    /// Does what a command asks. If it throws, nothing has changed.
    ///
    /// - Throws: `StepProblem`, or an error of the trace or the model.
    public mutating func perform(_ command: StepperCommand) throws -> StepperAnswer {
        switch command {
        case .move(let direction, let count): return .location(try move(direction, count))
        case .layer(let direction): return .location(try moveLayer(direction))
        case .pass(let direction): return .location(try movePass(direction))
        case .end(let direction):
            jump(to: direction == .forward ? try walk.last() : walk.first)
            return .location(nil)
        case .goTo(let text): return .location(try goTo(text))
        case .find(let text): return .location(try find(text))
        case .stop(let condition): return .note(try set(condition))
        case .listStops: return .stops(state.stops)
        case .delete(let number): return .note(try delete(number))
        case .run(let direction): return .location(try run(direction))
        case .reverseWatch(let expression): return .location(try reverseWatch(expression))
        case .inputs(let slot): return try inputs(slot)
        case .users(let number): return try users(number)
        case .back: return .location(back())
        case .show: return .location(nil)
        case .print(let text): return try print(text)
        case .heat(let plane):
            if let plane { try setPlane(plane) }
            return .heat
        case .plane(let direction): return .location(try movePlane(direction))
        case .why(let text): return try why(text)
        case .sql(let statement): return .sql(statement)
        case .help(let topic): return .help(topic)
        case .quit: return .quit
        }
    }

    // MARK: moving

    /// - Parameter isStep: whether the way is short enough that `back` need not know it.
    mutating func jump(to location: StepLocation, isStep: Bool = false) {
        guard location != state.location else { return }
        if !isStep { state.trail = (state.trail + [state.location]).suffix(100) }
        state.location = location
        state.plane = nil
    }

    private mutating func move(_ direction: StepDirection, _ count: Int) throws -> StepperNote? {
        var location = state.location
        for _ in 0..<count {
            guard let next = try walk.neighbour(of: location, direction) else {
                jump(to: location, isStep: true)
                return direction == .forward ? .atEnd : .atStart
            }
            location = next
        }
        jump(to: location, isStep: count == 1)
        return nil
    }

    /// To the first operation of the next layer, or of this one; from there, of the layer before.
    private mutating func moveLayer(_ direction: StepDirection) throws -> StepperNote? {
        var location = state.location
        repeat {
            guard let next = try walk.neighbour(of: location, direction) else {
                jump(to: location)
                return direction == .forward ? .atEnd : .atStart
            }
            location = next
        } while try !isLayerStart(location)
        jump(to: location)
        return nil
    }

    func isLayerStart(_ location: StepLocation) throws -> Bool {
        let operations = try walk.operations(step: location.step)
        return location.seq == 0 || operations[location.seq].layer != operations[location.seq - 1].layer
    }

    /// The same operation of another pass; every pass has the same ones.
    private mutating func movePass(_ direction: StepDirection) throws -> StepperNote? {
        let step = state.location.step + (direction == .forward ? 1 : -1)
        guard walk.passes.indices.contains(step) else { return .onlyPass }
        jump(to: try walk.clamped(StepLocation(step: step, seq: state.location.seq)))
        return nil
    }

    private mutating func goTo(_ text: String) throws -> StepperNote? {
        let step = state.location.step
        let operations = try walk.operations(step: step)
        if let seq = Int(text) {
            guard operations.indices.contains(seq) else {
                throw StepProblem.noSeq(asked: seq, operations: operations.count)
            }
            jump(to: StepLocation(step: step, seq: seq))
            return nil
        }
        jump(to: try resolve(text).location)
        return nil
    }

    /// The operation of this pass that a name means: as in `show`, or without the layer for the one in this layer.
    func resolve(_ text: String) throws -> RecordedOperation {
        let address = try TensorAddress(text)
        let operations = try walk.operations(step: state.location.step)
        let here = try operation.layer
        let inLayer = { (layer: Int?) in operations.filter { $0.stem == address.name && $0.layer == layer } }
        let exact = operations.filter { $0.name == address.name }
        let matches = exact.isEmpty ? inLayer(here ?? 0) : exact
        guard !matches.isEmpty else {
            throw StepProblem.nothingFits(
                address.name, suggestions: nearest(to: address.name, in: operations.map(\.name)))
        }
        guard let index = address.occurrence else { return matches.last! }
        guard matches.indices.contains(index) else {
            throw TraceError.noOccurrence(name: address.name, asked: index, count: matches.count)
        }
        return matches[index]
    }

    private mutating func back() -> StepperNote? {
        guard let location = state.trail.popLast() else { return .nothingBack }
        state.location = location
        state.plane = nil
        return nil
    }

    // MARK: looking

    /// The inputs of the operation here.
    public func inputs() throws -> [StepInput] {
        try walk.store.inputs(of: operation).map { input in
            let origin: StepInput.Origin
            if let id = input.sourceOperation, let source = try walk.store.operation(id: id) {
                origin = .operation(source)
            } else if let id = input.weightID, let weight = try walk.store.weight(id: id) {
                origin = .weight(weight)
            } else {
                origin = .leaf
            }
            return StepInput(slot: input.slot, name: input.name, shape: input.shape, origin: origin)
        }
    }

    public func users() throws -> [StepUser] {
        try walk.store.users(of: operation).map { StepUser(slot: $0.slot, operation: $0.operation) }
    }

    private mutating func inputs(_ slot: Int?) throws -> StepperAnswer {
        let inputs = try inputs()
        guard let slot else { return .inputs(inputs) }
        guard inputs.indices.contains(slot) else { throw StepProblem.noInput(asked: slot, count: inputs.count) }
        guard case .operation(let source) = inputs[slot].origin else { return .inputs(inputs) }
        jump(to: try walk.clamped(source.location))
        return .location(nil)
    }

    private mutating func users(_ number: Int?) throws -> StepperAnswer {
        let users = try users()
        guard let number else { return .users(users) }
        guard users.indices.contains(number) else { throw StepProblem.noUser(asked: number, count: users.count) }
        jump(to: try walk.clamped(users[number].operation.location))
        return .location(nil)
    }

    private func print(_ text: String) throws -> StepperAnswer {
        let operation: RecordedOperation
        let address: TensorAddress
        if text.isEmpty || text.hasPrefix("[") {
            operation = try self.operation
            address = try TensorAddress(operation.name + text)
        } else {
            operation = try resolve(text)
            address = try TensorAddress(text)
        }
        let ranges = try address.ranges(in: operation.shape)
        return .values(try walk.values(of: operation), ranges, of: operation)
    }

    private func why(_ text: String) throws -> StepperAnswer {
        let isHere = text.isEmpty || text.hasPrefix("[")
        let operation = isHere ? try self.operation : try resolve(text)
        let element: ElementIndex
        if text.isEmpty || !text.contains("[") {
            element = try StepPicture.largestElement(of: operation, plane: isHere ? state.plane : nil, in: walk)
        } else {
            let ranges = try TensorAddress(isHere ? operation.name + text : text).ranges(in: operation.shape)
            guard ranges.allSatisfy({ $0.count == 1 }) else {
                throw StepProblem.badArgument(
                    command: "why", found: text,
                    expected: "one element of \(operation.shape), as in why ["
                        + operation.shape.significant.map { _ in "0" }.joined(separator: ",") + "]")
            }
            element = ElementIndex(
                ranges[0].lowerBound, ranges[1].lowerBound, ranges[2].lowerBound, ranges[3].lowerBound)
        }
        let (node, provenance) = try model.node(of: operation)
        return .why(
            try ElementProvenance(
                node, at: element, in: provenance, step: operation.step,
                recorded: try? walk.values(of: operation)[element]),
            in: provenance)
    }

    /// Makes ready what `why` will need here, in the background.
    public func prepare() { model.prepare(state.location.step) }

    private mutating func setPlane(_ plane: Int) throws {
        let shape = try operation.shape
        let planes = shape.ne2 * shape.ne3
        guard (0..<planes).contains(plane) else {
            throw StepProblem.badArgument(
                command: "heat", found: "\(plane)",
                expected: planes == 1 ? "nothing: there is one plane" : "a plane from 0 to \(planes - 1)")
        }
        state.plane = plane
    }

    private mutating func movePlane(_ direction: StepDirection) throws -> StepperNote? {
        let operation = try operation
        let planes = operation.shape.ne2 * operation.shape.ne3
        guard planes > 1 else { return .noPlanes }
        let plane = (state.plane ?? StepPicture.usualPlane(of: operation)) + (direction == .forward ? 1 : -1)
        state.plane = min(max(0, plane), planes - 1)
        return nil
    }
}
