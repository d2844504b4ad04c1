import Foundation
import Presentation
import ProgramFiles
import Recording
import Stepping
import Synchronization

/// What there is to show after a command.
struct StepReply {
    var note: String?
    /// A page of its own; `nil`: the operation.
    var report: (any Report)?
    var title = ""
    var digitCommand: String?
    /// Whether the operation is worth showing where it does not stand on the screen anyway.
    var showsOperation = true
    var isEnd = false
}

/// A walk through a run: commands in, replies out, and a memory of where it was left.
struct StepSession {
    var stepper: Stepper
    let memory: StepMemory
    /// Why the location is not remembered, if it is not.
    private(set) var unkept: FileProblem?

    /// Rows that `sql` fetches at most: more than anyone reads, and never too much for memory.
    private static let rowLimit = 1000
    /// Terms that `why` shows of a sum: the rest adds little.
    private static let termLimit = 12

    /// - Parameters:
    ///   - line: a command as typed.
    ///   - height: lines that a picture may take.
    mutating func reply(to line: String, height: Int) throws -> StepReply {
        guard let command = try StepperCommand(line) else { return StepReply() }
        let before = stepper.state
        let reply = try reply(to: stepper.perform(command), height: height)
        if stepper.state.location != before.location || stepper.state.stops != before.stops {
            do { try memory.remember(stepper.state) } catch { unkept = error }
        }
        return reply
    }

    private func reply(to answer: StepperAnswer, height: Int) throws -> StepReply {
        switch answer {
        case .location(let note): return StepReply(note: note?.description)
        case .note(let note): return StepReply(note: note.description, showsOperation: false)
        case .inputs(let inputs):
            return StepReply(
                report: StepInputsReport(inputs), title: "What \(try stepper.operation.name) reads",
                digitCommand: "inputs")
        case .users(let users):
            return StepReply(
                report: StepUsersReport(users), title: "Who reads \(try stepper.operation.name)", digitCommand: "users")
        case .values(let values, let ranges, let operation):
            return StepReply(
                report: ShowReport(
                    trace: stepper.walk.store.path, operation: operation,
                    inputs: try stepper.walk.store.inputs(of: operation), values: values, ranges: ranges),
                title: "The numbers of \(operation.name)")
        case .heat:
            return StepReply(
                report: StepHeatReport(try stepper.view(), height: height), title: try stepper.operation.name)
        case .why(let element, let provenance):
            let trace = Terminal.pathFromHere(stepper.walk.store.path)
            return StepReply(
                report: ElementReport(
                    element, in: provenance, trace: trace, largest: Self.termLimit, isInStepper: true),
                title: "Why \(element.address)")
        case .sql(let statement): return StepReply(report: try result(of: statement), title: statement)
        case .stops(let stops): return StepReply(report: StepStopsReport(stops), title: "Where c and rc stop")
        case .help(let topic): return StepReply(report: StepHelp(topic: topic), title: "Help")
        case .quit: return StepReply(isEnd: true)
        }
    }

    private func result(of statement: String) throws -> SQLReport {
        var report = SQLReport()
        var count = 0
        do {
            try stepper.walk.store.query(statement, columns: { report.columns = $0 }) { row in
                if RawTerminal.isInterrupted { throw StepProblem.cancelled }
                if count == Self.rowLimit { throw Enough() }
                count += 1
                report.add(row)
            }
        } catch is Enough {}
        return report
    }

    private struct Enough: Error {}
}

// MARK: on a screen

extension StepSession {
    /// Takes the terminal until the user is done.
    mutating func runOnScreen(isColored: Bool, greeting: String?) throws {
        var console = StepConsole()
        if let greeting { console.say(greeting) }
        var keys = StepKeyDecoder()
        RawTerminal.enter()
        defer { RawTerminal.leave() }
        while true {
            let size = StepScreen.Size(Terminal.size)
            draw(try StepScreen(stepper.view(), console, size: size, isColored: isColored).lines)
            stepper.prepare()
            var pressed: [StepKey] = []
            switch RawTerminal.wait(milliseconds: keys.isWaiting ? 40 : nil) {
            case .bytes(let bytes): pressed = keys.add(bytes)
            case .nothing: pressed = keys.flush()
            case .event(.interrupt): pressed = [.interrupt]
            case .event(.resize): continue
            case .event(.end(let signal)): RawTerminal.end(by: signal)
            case .end: return
            }
            for key in pressed {
                switch console.press(key, height: StepScreen.pageHeight(size)) {
                case .quit: return
                case .command(let line):
                    if try perform(line, on: &console, size, isColored) { return }
                case nil: break
                }
            }
        }
    }

    /// - Returns: whether the user is done.
    private mutating func perform(
        _ line: String, on console: inout StepConsole, _ size: StepScreen.Size, _ isColored: Bool
    ) throws -> Bool {
        do {
            let height = StepScreen.pageHeight(size)
            let reply = try Self.notingDelay(size) {
                try RawTerminal.working { try self.reply(to: line, height: height - 3) }
            }
            console.say(reply.note ?? "")
            if let report = reply.report {
                let page = report.page(Style(isColored: isColored, width: size.columns))
                console.show(
                    StepConsole.Page(
                        title: reply.title,
                        lines: page.split(separator: "\n", omittingEmptySubsequences: false).map(String.init),
                        digitCommand: reply.digitCommand))
            }
            return reply.isEnd
        } catch {
            console.say("\(error)", isComplaint: true)
            return false
        }
    }

    /// Says that a key was understood, if its answer takes longer than a glance: a search, or the first `why` of a pass.
    private static func notingDelay<Result>(_ size: StepScreen.Size, _ body: () throws -> Result) rethrows -> Result {
        let isDone = Mutex(false)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(30)) {
            isDone.withLock { isDone in
                if !isDone { Terminal.write("\u{1B}[\(size.rows);1H\u{1B}[KWorking; Ctrl-C stops a search.") }
            }
        }
        defer { isDone.withLock { $0 = true } }
        return try body()
    }

    private func draw(_ lines: [String]) {
        // Erased before it is written: after a character in the last column the cursor still stands on it. Shown at once
        // by terminals that know 2026.
        let text = lines.map { "\u{1B}[K" + $0 }.joined(separator: "\r\n")
        Terminal.write("\u{1B}[?2026h\u{1B}[H" + text + "\u{1B}[?2026l")
    }
}

// MARK: line by line

/// What a program gets of a walk: a reply a command.
struct StepLog: Encodable {
    struct Entry: Encodable {
        let command: String
        @OrNull var note: String?
        @OrNull var error: String?
        let operation: StepOperationReport
        let result: AnyReport

        private enum CodingKeys: String, CodingKey { case command, note, error, operation = "place", result }
    }

    let trace: String
    let run: Int
    var replies: [Entry] = []
}

/// A report of any kind; `null` for none.
struct AnyReport: Encodable {
    let report: (any Report)?

    func encode(to encoder: any Encoder) throws {
        if let report { return try report.encode(to: encoder) }
        var container = encoder.singleValueContainer()
        try container.encodeNil()
    }
}

extension StepSession {
    /// Reads commands from standard input until its end.
    ///
    /// - Returns: whether all of them could be done.
    mutating func runInLines(_ printing: OutputOptions, greeting: String?) throws -> Bool {
        RawTerminal.catchInterrupts()
        let style = printing.style
        let isWatched = isatty(STDIN_FILENO) == 1
        var log = StepLog(trace: stepper.walk.store.path, run: stepper.walk.run.id)
        var isClean = true
        if !printing.json {
            if let greeting { Terminal.complain("quipu: \(greeting)") }
            Terminal.write(style.shown(StepOperationReport(try stepper.view()).page(style)) + "\n")
        }
        while true {
            if isWatched { Terminal.prompt("step> ") }
            guard let line = readLine() else { break }
            var (reply, problem) = (StepReply(), String?.none)
            do {
                reply = try RawTerminal.working { try self.reply(to: line, height: 32) }
            } catch {
                problem = "\(error)"
                isClean = false
            }
            if reply.isEnd { break }
            guard StepperCommand.isSpoken(line) else { continue }
            if printing.json {
                log.replies.append(
                    StepLog.Entry(
                        command: line, note: reply.note, error: problem,
                        operation: StepOperationReport(try stepper.view()),
                        result: AnyReport(report: reply.report)))
            } else {
                try show(reply, problem, style)
            }
        }
        if printing.json { Terminal.write(try JSONOutput.text(log) + "\n") }
        return isClean
    }

    private func show(_ reply: StepReply, _ problem: String?, _ style: Style) throws {
        if let problem { return Terminal.complain("quipu: \(problem)") }
        var page = reply.report?.page(style)
        if page == nil, reply.showsOperation { page = StepOperationReport(try stepper.view()).page(style) }
        let lines = [reply.note, page].compactMap { $0 }.joined(separator: "\n")
        Terminal.write("\n" + style.shown(lines) + "\n")
    }
}

extension StepperCommand {
    /// Whether a line says anything: empty ones and comments do not.
    fileprivate static func isSpoken(_ line: String) -> Bool {
        let text = line.drop { $0.isWhitespace }
        return !text.isEmpty && !text.hasPrefix("#")
    }
}

extension StepScreen.Size {
    init(_ size: (rows: Int, columns: Int)) { self.init(rows: size.rows, columns: size.columns) }
}
