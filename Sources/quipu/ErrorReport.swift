import Presentation

/// An error as a document, beside the line on standard error: `{"error": {"message": …, "status": 1}}`.
struct ErrorReport: Report {
    struct Words: Encodable {
        let message: String
        /// The exit status.
        let status: Int32
    }

    let error: Words

    init(_ message: String, status: Int32) { error = Words(message: message, status: status) }

    func page(_ style: Style) -> String { error.message }

    /// Where the command was to print a document, and has not begun to.
    func printIfAsked() {
        guard !Terminal.hasWritten, CommandLine.arguments.dropFirst().prefix(while: { $0 != "--" }).contains("--json"),
            let text = try? JSONOutput.text(self)
        else { return }
        Terminal.write(text + "\n")
    }
}
