import Foundation

/// What the page may ask that a command of this program answers with `--json`.
enum LiveCommands {
    /// - Returns: the command's words, each of the page's own behind `=` or `--`, so that none is an option; `nil` if there is
    ///   nothing of that name.
    static func arguments(
        for path: String, _ asked: LiveParameters, in session: LiveSession
    ) throws(LiveProblem) -> [String]? {
        switch path {
        case "sql":
            return ["sql", "--json", "--", try trace(asked, in: session), try asked.text("query")]
        case "show":
            let step = try asked.number("step") ?? 0
            return ["show", "--json", "--step=\(step)", "--", try trace(asked, in: session), try asked.text("name")]
        case "lens":
            var words = ["lens", "--json", "--top=3"]
            if let position = try asked.number("position") { words.append("--positions=\(position)") }
            return words + ["--model=\(try model(of: session))", "--", try trace(asked, in: session)]
        case "diff":
            let other = try session.path(of: try asked.number("other") ?? 0)
            return ["diff", "--json", "--", try trace(asked, in: session), other]
        case "tokenize":
            return ["tokenize", "--json", "--", try model(of: session), try asked.text("text")]
        case "tokens":
            return ["tokenize", "--json", "--ids=\(try asked.text("ids"))", "--", try model(of: session)]
        case "values", "bytes":
            var words = ["inspect", "--json", "--\(path)=\(try asked.text("tensor"))"]
            for name in ["offset", "count"] + (path == "values" ? ["row", "rows"] : []) {
                if let number = try asked.number(name) { words.append("--\(name)=\(number)") }
            }
            return words + ["--", try model(of: session)]
        case "lessons": return ["lesson", "list", "--json"]
        case "lesson": return try lesson(asked)
        case "inspect":
            return ["inspect", "--json", "--", try model(of: session)]
        case "block":
            let (row, block) = (try asked.number("row") ?? 0, try asked.number("block") ?? 0)
            return [
                "quant", "blocks", "--json", "--row=\(row)", "--block=\(block)", "--", try model(of: session),
                try asked.text("tensor"),
            ]
        default: return nil
        }
    }

    /// A step of a lesson, in the state that the terminal has too.
    private static func lesson(_ asked: LiveParameters) throws(LiveProblem) -> [String] {
        guard asked.isPosted else { throw .badRequest("a GET, by which nothing is changed") }
        let action = try asked.text("do")
        switch action {
        case "start":
            let lesson = try asked.text("lesson")
            guard lesson.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "-" }), lesson.first != "-" else {
                throw .badRequest("the lesson '\(lesson.prefix(20))'")
            }
            return ["lesson", "start", "--json", lesson]
        case "next", "back", "hint", "why", "skip", "redo": return ["lesson", action, "--json"]
        case "check", "guess":
            let answer = try asked.text("answer")
            // Some questions take a file, and one that ends in .py would be run.
            guard !answer.hasSuffix(".py"), !FileManager.default.fileExists(atPath: answer) else {
                throw .failed("hand files in in the terminal: quipu lesson check \(answer.prefix(60))")
            }
            return ["lesson", action, "--json", answer]
        default: throw .badRequest("'\(action.prefix(20))' of a lesson")
        }
    }

    private static func trace(_ asked: LiveParameters, in session: LiveSession) throws(LiveProblem) -> String {
        try session.path(of: try asked.number("trace") ?? 0)
    }

    private static func model(of session: LiveSession) throws(LiveProblem) -> String {
        guard let model = session.model else { throw .noModel }
        return model
    }
}
