import Foundation
import Presentation
import Recording
import Stepping
import Synchronization

/// The page and what its script asks for, over HTTP on this machine alone. Requests are bounded; what takes long is done by
/// this program started again, which can be stopped without touching anything else.
final class LiveServer: Sendable {
    private let session: LiveSession
    private let server: HTTPServer
    private let guardian: LiveGuard
    private let runs = Mutex<Int>(0)

    private static let (mostRuns, mostAnswer, secondsOfAnswer) = (2, 8 << 20, 30.0)

    /// Begins to listen.
    ///
    /// - Parameter port: 0 for one that is free.
    /// - Throws: `InputError` if it is taken.
    init(_ session: LiveSession, port: UInt16) throws {
        self.session = session
        server = try HTTPServer(port: port)
        guardian = LiveGuard(port: server.port)
    }

    /// The page's, with the secret that requests must have.
    var address: String { "http://127.0.0.1:\(server.port)\(guardian.base)" }

    /// Serves until the task is cancelled, which ends what is under way.
    ///
    /// - Throws: `CancellationError`.
    func run() async throws {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { [self] in
                    server.run { self.answer(to: $0) }
                    continuation.resume()
                }
            }
        } onCancel: {
            server.stop()
        }
        try Task.checkCancellation()
    }

    // MARK: answers

    private func answer(to request: Result<HTTPRequest, HTTPFault>) -> HTTPAnswer {
        let nonce = LiveGuard.secret()
        switch request {
        case .failure(let fault): return guardian.secured(Self.refused(fault), nonce: nonce)
        case .success(let request):
            if let fault = guardian.refusal(of: request) {
                return guardian.secured(Self.refused(fault), nonce: nonce)
            }
            return guardian.secured(respond(to: request, nonce: nonce), nonce: nonce)
        }
    }

    private func respond(to request: HTTPRequest, nonce: String) -> HTTPAnswer {
        do {
            let path = guardian.path(of: request)
            if path == "run" { return try run(request) }
            let asked = try LiveParameters(of: request)
            switch path {
            case "": return try page(try asked.number("trace"), nonce: nonce)
            case "traces": return Self.json(try session.traces())
            case "candidates":
                return Self.json(try LiveCandidates(of: session.path(of: try asked.number("trace") ?? 0)))
            case "replay":
                let digest = try session.replay(of: try asked.number("trace") ?? 0)
                return HTTPAnswer(type: "application/json", body: .bytes(Array(digest.utf8)))
            case "position": return Self.json(["position": try position(asked)])
            case "lessonpicture": return try lessonPicture(try asked.number("command") ?? 0)
            default:
                guard let command = try LiveCommands.arguments(for: path, asked, in: session) else {
                    return .text("there is nothing here", status: 404)
                }
                return try answer(command)
            }
        } catch let problem as LiveProblem {
            return Self.error(problem.description, status: problem.status)
        } catch {
            return Self.error("\(error)", status: 422)
        }
    }

    /// Where the walk through a trace stands, for `quipu step` and the page alike; a POST moves it.
    private func position(_ asked: LiveParameters) throws -> StepLocation? {
        let store = try TraceStore.open(path: session.path(of: try asked.number("trace") ?? 0))
        let memory = StepMemory(try store.run(), in: store)
        guard asked.isPosted else { return memory.recall()?.location }
        let location = StepLocation(step: try asked.number("step") ?? 0, seq: try asked.number("seq") ?? 0)
        var state = memory.recall() ?? StepperState(location: location)
        state.location = location
        try memory.remember(state)
        return location
    }

    private func page(_ id: Int?, nonce: String) throws -> HTTPAnswer {
        let html = try session.page(of: id, base: guardian.base, nonce: nonce)
        return HTTPAnswer(type: "text/html; charset=utf-8", body: .bytes(Array(html.utf8)))
    }

    private func lessonPicture(_ index: Int) throws -> HTTPAnswer {
        let words = try LiveLessonPicture.words(ofCommand: index) { words in
            let outcome = try OwnProgram.run(words, seconds: Self.secondsOfAnswer)
            guard outcome.status == 0 else { throw LiveProblem.failed(outcome.complaint) }
            return Data(outcome.output.utf8)
        }
        guard let words else { throw LiveProblem.failed("this command makes no picture") }
        return try answer(words)
    }

    /// What a command prints with `--json`.
    private func answer(_ command: [String]) throws -> HTTPAnswer {
        let outcome = try OwnProgram.run(command, seconds: Self.secondsOfAnswer, longest: Self.mostAnswer + 1)
        if outcome.isLate {
            throw LiveProblem.failed("stopped after \(Int(Self.secondsOfAnswer)) seconds: ask for less")
        }
        let output = Array(outcome.output.utf8)
        if output.count > Self.mostAnswer {
            throw LiveProblem.failed(
                "the answer is longer than \(Self.mostAnswer >> 20) MiB: ask for less, as with LIMIT")
        }
        // `diff` says by 2 that something differs.
        guard outcome.status == 0 || (command[0] == "diff" && outcome.status == 2) else {
            throw LiveProblem.failed(outcome.complaint)
        }
        return HTTPAnswer(type: "application/json", body: .bytes(output))
    }

    // MARK: runs

    /// Runs a prompt, and tells of it line by line: `{"tokens":[…]}` as they come, at last `{"trace":3}` or `{"error":"…"}`.
    /// The run ends when nobody listens any more.
    private func run(_ request: HTTPRequest) throws -> HTTPAnswer {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard request.method == "POST" else { throw LiveProblem.badRequest("the method \(request.method)") }
        guard let wanted = try? decoder.decode(LiveRun.self, from: Data(request.body)) else {
            throw LiveProblem.badRequest("a body that is no request for a run")
        }
        let id = session.nextTrace()
        let arguments = try session.arguments(for: wanted, writing: id)
        let isFree = runs.withLock { runs in
            guard runs < Self.mostRuns else { return false }
            runs += 1
            return true
        }
        guard isFree else { throw LiveProblem.busy }
        let body: @Sendable (@escaping ([UInt8]) -> Bool) -> Void = { [self] send in
            defer { runs.withLock { $0 -= 1 } }
            var reader = LiveTokens(of: session.path(ofNew: id))
            do {
                let outcome = try OwnProgram.run(
                    arguments, longest: Self.mostAnswer,
                    // A line goes out each time, so that a closed connection is noticed.
                    isStopped: { !send(LiveLines.line(reader.news())) })
                if outcome.status == 0 {
                    _ = send(LiveLines.line(reader.news()))
                    _ = send(LiveLines.line(["trace": id]))
                } else {
                    _ = send(LiveLines.line(["error": outcome.status == 130 ? "stopped" : outcome.complaint]))
                }
            } catch { _ = send(LiveLines.line(["error": "\(error)"])) }
        }
        return HTTPAnswer(type: "application/x-ndjson", body: .stream(body))
    }

    // MARK: kinds of answers

    private static func json(_ value: some Encodable) -> HTTPAnswer {
        HTTPAnswer(type: "application/json", body: .bytes(LiveLines.line(value)))
    }

    private static func error(_ reason: String, status: Int) -> HTTPAnswer {
        HTTPAnswer(status: status, type: "application/json", body: .bytes(LiveLines.line(["error": reason])))
    }

    private static func refused(_ fault: HTTPFault) -> HTTPAnswer {
        var answer = HTTPAnswer.text(fault.reason, status: fault.status)
        answer.isLast = true
        return answer
    }
}
