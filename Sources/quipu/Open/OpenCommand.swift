import ArgumentParser
import Foundation
import Presentation

struct OpenCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "open",
        abstract: "A live page in the browser: type a prompt, watch it run, change something.",
        usage: "quipu open [TRACE|MODEL] [options]",
        discussion: """
            Serves a page on this machine alone (127.0.0.1), prints its address on a line of its own, and opens the browser. The page has the report's views of a trace; besides, it runs prompts, silences heads and layers and shows what that does, asks the trace in SQL, and shows the model's metadata, tokens, tensors of any type, blocks and bytes. A model alone is only looked at until you run it. What it makes are traces, which are kept and found again; Ctrl-C ends it.

            Example:
              quipu open --no-browser

            Example:
              quipu open trace.db
            """)

    @Argument(
        help: "A trace, or a model. (default: $QUIPU_MODEL, or the embedded model, of which a first prompt is run)",
        completion: .file(extensions: ["db", "gguf"]))
    var file: String?
    @Option(help: "The port; 0: one that is free.") var port = 0
    @Flag(help: "Print the address only.") var noBrowser = false
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        guard 0...65535 ~= port else { throw ValidationError("--port takes 0 to 65535") }
    }

    func run() async throws {
        let session = try LiveSession(opening: file, threads: threads.count)
        let server = try LiveServer(session, port: UInt16(port))
        try session.runFirst()
        try printing.print(
            OpenedPage(address: server.address, traces: session.folder.path, model: session.model))
        if !noBrowser { Browser.open(server.address) }
        do { try await server.run() } catch {
            guard Task.isCancelled else { throw error }
            // Ctrl-C is how it is meant to end.
            Terminal.complain("quipu: the page is closed; its traces are in \(session.folder.path)")
        }
    }
}

/// What `open` says when the page is there.
private struct OpenedPage: Report {
    let address: String
    let traces: String
    @OrNull var model: String?

    func page(_ style: Style) -> String { address }
}

/// The system's own browser.
private enum Browser {
    static func open(_ address: String) {
        #if canImport(Darwin)
            let opener = "open"
        #else
            let opener = "xdg-open"
        #endif
        let paths = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(opener)" }
        guard let path = paths.first(where: FileManager.default.isExecutableFile(atPath:)),
            ChildProgram(path: path).startDetached([address])
        else {
            Terminal.complain("quipu: note: there is no \(opener) to open a browser with; open the address yourself")
            return
        }
    }
}
