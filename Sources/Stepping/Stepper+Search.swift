import Recording
import Tensors

/// Going on and back to where something is so.
extension Stepper {
    // MARK: stops

    mutating func set(_ condition: StepperCommand.StopCondition) throws -> StepperNote {
        let operations = try walk.operations(step: state.location.step)
        var matches: Int?
        switch condition {
        case .layer(let layer):
            guard (0..<walk.layers).contains(layer) else {
                throw StepProblem.noLayer(asked: layer, layers: walk.layers)
            }
        case .kind(let kind):
            matches = operations.count { $0.kind == kind }
            if matches == 0 {
                throw StepProblem.nothingFits(kind, suggestions: nearest(to: kind, in: operations.map(\.kind)))
            }
        case .name(let name):
            // A kind is told from a name by being one.
            if operations.contains(where: { $0.kind == name.uppercased() }) { return try set(.kind(name.uppercased())) }
            matches = operations.count { Self.fits(name, $0) }
            if matches == 0 {
                throw StepProblem.nothingFits(name, suggestions: nearest(to: name, in: operations.map(\.name)))
            }
        case .watch(let expression):
            try checkMeasured(expression, in: operations)
        }
        state.stops.append(condition)
        return .set(number: state.stops.count, condition, matches: matches)
    }

    mutating func delete(_ number: Int?) throws -> StepperNote {
        guard let number else {
            defer { state.stops = [] }
            return .deleted(state.stops.count)
        }
        guard state.stops.indices.contains(number - 1) else { throw StepProblem.noMark(asked: number) }
        state.stops.remove(at: number - 1)
        return .deleted(1)
    }

    private static func fits(_ pattern: String, _ operation: RecordedOperation) -> Bool {
        operation.stem == pattern || Capture(.all, names: [pattern]).keepsValues(of: operation.name)
    }

    /// An expression that no operation of a pass knows is a mistake, and would search for ever in vain.
    private func checkMeasured(_ expression: WatchExpression, in operations: [RecordedOperation]) throws {
        for operation in operations {
            try checkCancelled()
            if try expression.holds(at: subject(operation)) != nil { return }
        }
        throw StepProblem.notMeasured(expression.text)
    }

    // MARK: running

    mutating func run(_ direction: StepDirection) throws -> StepperNote {
        var location = state.location
        while let next = try walk.neighbour(of: location, direction) {
            try checkCancelled()
            location = next
            if let stop = try state.stops.first(where: { try meets($0, at: location) }) {
                jump(to: location)
                if case .watch(let expression) = stop { return try became(expression) }
                return .stopped(stop)
            }
        }
        jump(to: location)
        return .noStopMet(direction, stops: state.stops.count)
    }

    private func meets(_ stop: StepperCommand.StopCondition, at location: StepLocation) throws -> Bool {
        let operation = try walk.operation(at: location)
        switch stop {
        case .name(let name): return Self.fits(name, operation)
        case .kind(let kind): return operation.kind == kind
        case .layer(let layer): return try operation.layer == layer && isLayerStart(location)
        case .watch(let expression): return try comesTrue(expression, at: location)
        }
    }

    /// Back to the nearest operation where the condition came true: of a stretch where it holds, the first.
    mutating func reverseWatch(_ asked: WatchExpression?) throws -> StepperNote {
        guard let expression = asked ?? state.reverseWatch else {
            throw StepProblem.badArgument(
                command: "rwatch", found: "", expected: "a condition, as in rwatch resid[12] > 50")
        }
        try checkMeasured(expression, in: try walk.operations(step: state.location.step))
        state.reverseWatch = expression
        var location = state.location
        while let next = try walk.neighbour(of: location, .backward) {
            try checkCancelled()
            location = next
            if try comesTrue(expression, at: location) {
                jump(to: location)
                return try became(expression)
            }
        }
        return .neverBefore(expression)
    }

    /// Whether the condition holds here and did not where it was last known, in this pass.
    private func comesTrue(_ expression: WatchExpression, at location: StepLocation) throws -> Bool {
        guard try expression.holds(at: subject(try walk.operation(at: location))) == true else { return false }
        return try expression.isEvent || lastKnown(expression, before: location)?.holds != true
    }

    private func lastKnown(
        _ expression: WatchExpression, before location: StepLocation
    ) throws -> (operation: RecordedOperation, holds: Bool)? {
        for operation in try walk.operations(step: location.step)[..<location.seq].reversed() {
            if let holds = try expression.holds(at: subject(operation)) { return (operation, holds) }
        }
        return nil
    }

    private func became(_ expression: WatchExpression) throws -> StepperNote {
        let before = try lastKnown(expression, before: state.location)?.operation
        return .became(
            expression, now: try expression.reading(at: subject(try operation)),
            before: try before.flatMap { try expression.reading(at: subject($0)) }, at: before?.name)
    }

    private func subject(_ operation: RecordedOperation) -> OperationSubject {
        OperationSubject(operation: operation, walk: walk, model: model)
    }

    private func checkCancelled() throws {
        if isCancelled() { throw StepProblem.cancelled }
    }

    // MARK: finding

    /// The next operation with the text in its name, its kind or an input's name; round past the end.
    mutating func find(_ asked: String?) throws -> StepperNote {
        guard let text = asked ?? state.wanted else {
            throw StepProblem.badArgument(command: "find", found: "", expected: "a text, as in find ffn_down")
        }
        state.wanted = text
        let wanted = text.lowercased()
        let start = state.location
        var (location, fromStart) = (start, false)
        repeat {
            try checkCancelled()
            if let next = try walk.neighbour(of: location, .forward) {
                location = next
            } else {
                (location, fromStart) = (walk.first, true)
            }
            let operation = try walk.operation(at: location)
            let isFound =
                try operation.name.lowercased().contains(wanted) || operation.kind.lowercased().contains(wanted)
                || walk.inputNames(step: location.step, operation: operation.id).contains {
                    $0.lowercased().contains(wanted)
                }
            if isFound {
                jump(to: location)
                return .found(text, fromStart: fromStart)
            }
        } while location != start
        throw StepProblem.nothingFits(
            text, suggestions: nearest(to: text, in: try walk.operations(step: start.step).map(\.name)))
    }
}
