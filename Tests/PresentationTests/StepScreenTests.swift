import Foundation
import Presentation
import Recording
import Stepping
import TestSupport
import Testing
import Tracing

/// The stepper's screen as lines, without a terminal.
@Suite struct StepScreenTests {
    private func stepper(_ recorded: Recorded) throws -> Stepper {
        let store = try TraceStore.open(path: recorded.path)
        let run = try store.run()
        return try Stepper(
            TraceWalk(run, in: store),
            model: StepModel(threads: 1) { [model = recorded.model] in try Replay(run, in: store, model: model) })
    }

    /// Terminal columns of a line, colours aside; wide characters as Python's `unicodedata` has them.
    private func width(_ line: String) -> Int {
        line.replacing(/\u{1B}\[[0-9;]*m/, with: "").unicodeScalars.reduce(0) { sum, scalar in
            let isWide =
                (0x1100...0x115F).contains(scalar.value)
                || (0x2E80...0xFFDC).contains(scalar.value) && scalar.value != 0xFFFD
                || (0x1F300...0x1FAFF).contains(scalar.value)
            return sum + (scalar.properties.generalCategory == .nonspacingMark ? 0 : isWide ? 2 : 1)
        }
    }

    /// Tokens of two columns, of none and of control characters among the pieces; every size from a sliver up.
    @Test(arguments: [false, true])
    func everyOperationFitsEverySize(isColored: Bool) async throws {
        let recorded = try await Recorded(.stories, prompt: "日本 🎉 e\u{301}\u{7}\n\tyes", generate: 2, Capture(.all))
        var stepper = try stepper(recorded)
        let sizes = [(24, 80), (60, 200), (12, 40), (5, 20), (2, 10), (1, 1), (18, 79)]
        var count = 0
        repeat {
            let view = try stepper.view()
            for (rows, columns) in sizes {
                let lines = StepScreen(
                    view, StepConsole(), size: .init(rows: rows, columns: columns), isColored: isColored
                ).lines
                #expect(lines.count == rows)
                for line in lines {
                    #expect(width(line) <= columns, "\(line)")
                    #expect(isColored || !line.contains("\u{1B}"))
                    #expect(!line.contains("\u{7}") && !line.contains("\n") && !line.contains("\t"))
                }
            }
            count += 1
            _ = try stepper.perform(.move(.forward, 7))
        } while try stepper.state.location != stepper.walk.last() && count < 60
        #expect(count > 20)
    }

    /// In every architecture, each operation is one of the stages that the picture of its layer shows.
    @Test(arguments: ArchitectureFixture.all)
    func everyOperationHasAPlaceInThePicture(fixture: ArchitectureFixture) async throws {
        let recorded = try await Recorded(fixture, generate: 1, Capture(.stats))
        var stepper = try stepper(recorded)
        let attention = "norm|Q|K|V|latent|rope|cache|scores|softmax|mix|out|×s|\\+"
        let feedForward = "gate|up|swiglu|down|router|probs|choice|weights|×w|Σ|shared"
        let stage = try Regex("\\[(\(attention)|\(feedForward)|embedding|logits)\\]")
        var count = 0
        repeat {
            let view = try stepper.view()
            let lines = StepScreen(view, StepConsole(), size: .init(rows: 40, columns: 120), isColored: false).lines
            let marks = lines.flatMap { $0.matches(of: stage) }
            #expect(marks.count == 1, "\(view.operation.name): \(lines.prefix(7).joined(separator: "\n"))")
            count += 1
            _ = try stepper.perform(.move(.forward, 1))
        } while try stepper.state.location != stepper.walk.last()
        #expect(count + 1 == recorded.passes[0].nodes.count)
    }

    /// What the screen shows at 80x24 at fixed operations of a fixed prompt. Measured times differ from run to run and
    /// are left out. `QUIPU_WRITE_SCREENS=1` writes the files again.
    @Test(arguments: [
        "embd", "Qcur-0", "kq_soft_max-1", "cache_k_l0 (view)#0", "ffn_swiglu-2", "l_out-4", "result_output",
    ])
    func screensAreAsKept(name: String) async throws {
        let recorded = try await Recorded(.stories, prompt: "Once upon a time", generate: 2, Capture(.all))
        var stepper = try stepper(recorded)
        _ = try stepper.perform(.goTo(name))
        let lines = StepScreen(try stepper.view(), StepConsole(), size: .init(rows: 24, columns: 80), isColored: false)
            .lines
        let text =
            lines.map { line in
                line.wholeMatch(of: /[0-9.]+ (ns|µs|ms|s)  .*/) == nil ? line : "(time)"
            }.joined(separator: "\n") + "\n"
        let file = Places.package.appending(path: "Tests/PresentationTests/Screens/\(name.prefix { $0 != " " }).txt")
        if ProcessInfo.processInfo.environment["QUIPU_WRITE_SCREENS"] == "1" {
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == text)
    }

    @Test func theHelpFitsThePage() {
        for line in StepHelp(topic: nil).page(.plain).split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    }

    /// The glossary knows every kind of operation and every name.
    @Test(arguments: TinyModel.allCases)
    func everyOperationHasASentenceAndAFormula(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 1, Capture(.stats))
        var stepper = try stepper(recorded)
        for seq in recorded.passes[0].nodes.indices {
            _ = try stepper.perform(.goTo("\(seq)"))
            let document = try JSONOutput.text(StepOperationReport(try stepper.view()))
            #expect(!document.contains("\"meaning\" : \"Operation "), "\(document)")
            #expect(!document.contains("\"formula\" : null"), "\(document)")
        }
    }
}

/// The stepper's keyboard.
@Suite struct StepConsoleTests {
    @Test func bytesBecomeKeys() {
        var decoder = StepKeyDecoder()
        #expect(
            decoder.add(Array("n\u{1B}[A\u{1B}OB\u{1B}[6~é日\r\u{7F}".utf8)) == [
                .character("n"), .up, .down, .pageDown, .character("é"), .character("日"), .enter, .backspace,
            ])
        #expect(decoder.add([0x1B]) == [] && decoder.isWaiting && decoder.flush() == [.escape] && !decoder.isWaiting)
        #expect(decoder.add([0xE6, 0x97]) == [] && decoder.add([0xA5]) == [.character("日")])
        #expect(decoder.add([0x1B, 0x5B, 0x39, 0x39, 0x7E, 0xFF, 0x03]) == [.other, .other, .interrupt])
    }

    @Test func keysAreCommands() {
        var console = StepConsole()
        let keys: [(StepKey, StepConsole.Request?)] = [
            (.character("n"), .command("n")), (.pageUp, .command("P")), (.character("C"), .command("rc")),
            (.character("2"), .command("inputs 2")), (.character("q"), .quit), (.endOfInput, .quit),
            (.character("z"), nil),
        ]
        for (key, request) in keys { #expect(console.press(key, height: 20) == request) }
        #expect(console.isComplaint)
    }

    @Test func linesAreTyped() {
        var console = StepConsole()
        for key in [":", "q", "x"] { #expect(console.press(.character(Character(key)), height: 9) == nil) }
        #expect(console.typed == "qx")
        _ = console.press(.backspace, height: 9)
        _ = console.press(.clear, height: 9)
        for key in "goto 3" { _ = console.press(.character(key), height: 9) }
        #expect(console.press(.enter, height: 9) == .command("goto 3") && console.typed == nil)
        _ = console.press(.character(":"), height: 9)
        _ = console.press(.up, height: 9)
        #expect(console.typed == "goto 3")
        #expect(console.press(.interrupt, height: 9) == nil && console.typed == nil)
    }

    @Test func pagesScrollAndClose() {
        var console = StepConsole()
        console.show(.init(title: "t", lines: (0..<50).map { "\($0)" }, digitCommand: "users"))
        _ = console.press(.character(" "), height: 20)
        #expect(console.page?.offset == 20)
        _ = console.press(.end, height: 20)
        #expect(console.page?.offset == 30)
        #expect(console.press(.character("4"), height: 20) == .command("users 4") && console.page == nil)
        console.show(.init(title: "t", lines: ["a"]))
        #expect(console.press(.character("q"), height: 20) == nil && console.page == nil)
    }

    @Test func controlCQuitsTheSecondTime() {
        var console = StepConsole()
        #expect(console.press(.interrupt, height: 9) == nil && console.message.contains("again"))
        #expect(console.press(.character("n"), height: 9) == .command("n"))
        #expect(console.press(.interrupt, height: 9) == nil)
        #expect(console.press(.interrupt, height: 9) == .quit)
    }
}
