import Tensors

/// Why a template cannot be read or rendered, and in which of its lines.
public struct JinjaError: InputProblem, Equatable {
    public enum Problem: Sendable, Equatable {
        /// The template is not written as Jinja asks for.
        case syntax(String)
        /// Something that Jinja2 knows, or may know, and this interpreter does not.
        case unsupported(String)
        /// What Jinja2 too would stop at: an undefined value, operands that do not fit.
        case failure(String)
        /// The template itself refuses its input: `raise_exception(…)`.
        case refusal(String)
        /// The template asks for more work, text or depth than a chat template may.
        case limit(String)
    }

    public let problem: Problem
    /// Counted from 1; 0 where no line is to blame.
    public private(set) var line: Int

    init(_ problem: Problem, line: Int = 0) { (self.problem, self.line) = (problem, line) }

    static func failure(_ words: String) -> JinjaError { JinjaError(.failure(words)) }
    static func unsupported(_ words: String) -> JinjaError { JinjaError(.unsupported(words)) }

    func at(_ line: Int) -> JinjaError { self.line == 0 ? JinjaError(problem, line: line) : self }

    /// A template's own words are shown without what moves a cursor; its line ends stay.
    public var description: String { words.picturingControls { $0 != "\n" } }

    private var words: String {
        let start = line > 0 ? "line \(line): " : ""
        switch problem {
        case .syntax(let words): return start + words
        case .unsupported(let words): return start + "Quipu does not know \(words), and does not guess."
        case .failure(let words): return start + words
        case .refusal(let words): return start + "the template refuses this conversation: \(words)"
        case .limit(let words): return start + "stopped: \(words)"
        }
    }
}
