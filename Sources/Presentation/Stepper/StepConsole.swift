/// What the keyboard sends.
public enum StepKey: Hashable, Sendable {
    case character(Character)
    case enter, escape, backspace, tab
    case up, down, left, right, pageUp, pageDown, home, end
    /// Ctrl-C.
    case interrupt
    /// Ctrl-D.
    case endOfInput
    /// Ctrl-U.
    case clear
    case other
}

/// The stepper's keyboard: which key means which command, the line being typed, the page being read.
///
/// Knows nothing of traces: it hands out command lines, and is told what to show.
public struct StepConsole: Sendable {
    /// What a key asks for.
    public enum Request: Hashable, Sendable {
        case command(String)
        case quit
    }

    /// A text over the operation, such as a list of inputs.
    public struct Page: Sendable, Hashable {
        public let title: String
        public let lines: [String]
        public var offset = 0
        /// The command that a digit completes, such as `inputs`.
        public let digitCommand: String?

        public init(title: String, lines: [String], digitCommand: String? = nil) {
            self.title = title
            self.lines = lines
            self.digitCommand = digitCommand
        }
    }

    /// The line being typed; `nil` when keys are commands.
    public private(set) var typed: String?
    public private(set) var page: Page?
    public private(set) var message = StepConsole.welcome
    public private(set) var isComplaint = false
    private var askedToQuit = false
    private var earlier: [String] = []
    /// Which of the earlier lines is shown; their number: none.
    private var recalled = 0

    public static let welcome = "This is one operation of a pass. n: the next, p: back, ?: what all this means."

    public init() {}

    public mutating func say(_ text: String, isComplaint: Bool = false) {
        message = text
        self.isComplaint = isComplaint
    }

    public mutating func show(_ page: Page) { self.page = page }

    /// - Parameter height: lines a page can show.
    public mutating func press(_ key: StepKey, height: Int) -> Request? {
        let wasAsked = askedToQuit
        askedToQuit = false
        if typed != nil { return type(key) }
        if page != nil, turn(key, height: max(1, height)) { return nil }
        switch key {
        case .interrupt:
            if wasAsked { return .quit }
            askedToQuit = true
            say("Ctrl-C again or q quits.")
            return nil
        case .endOfInput: return .quit
        case .escape:
            say("")
            return nil
        default: break
        }
        if case .character(let digit) = key, digit.isASCII, digit.isNumber {
            let command = page?.digitCommand ?? "inputs"
            page = nil
            return .command("\(command) \(digit)")
        }
        page = nil
        if let begun = Self.begins[key] {
            typed = begun
            recalled = earlier.count
            return nil
        }
        if let command = Self.commands[key] { return command == "quit" ? .quit : .command(command) }
        if case .character(let character) = key {
            say("'\(character)' is no key here. ? explains the keys.", isComplaint: true)
        }
        return nil
    }

    /// Keys that are commands by themselves.
    private static let commands: [StepKey: String] = [
        .character("n"): "n", .character(" "): "n", .enter: "n", .right: "n", .down: "n", .character("j"): "n",
        .character("p"): "p", .left: "p", .up: "p", .backspace: "p", .character("k"): "p",
        .character("N"): "N", .pageDown: "N", .character("P"): "P", .pageUp: "P",
        .character("]"): "]", .character("["): "[", .character("g"): "g", .home: "g", .character("G"): "G", .end: "G",
        .character("c"): "c", .character("C"): "rc", .character("<"): "<", .character(">"): ">",
        .character("i"): "inputs", .character("u"): "users", .character("h"): "heat", .character("w"): "why",
        .character("b"): "back", .character("f"): "find", .character("?"): "help", .character("v"): "print",
        .character("q"): "quit",
    ]

    /// Keys that begin a command line.
    private static let begins: [StepKey: String] = [
        .character(":"): "", .character("/"): "find ", .character("x"): "print ",
    ]

    // MARK: a page

    /// - Returns: whether the key was for the page.
    private mutating func turn(_ key: StepKey, height: Int) -> Bool {
        guard let page else { return false }
        let last = max(0, page.lines.count - height)
        switch key {
        case .down, .character("j"): self.page?.offset = min(last, page.offset + 1)
        case .up, .character("k"): self.page?.offset = max(0, page.offset - 1)
        case .pageDown, .character(" "): self.page?.offset = min(last, page.offset + height)
        case .pageUp: self.page?.offset = max(0, page.offset - height)
        case .home: self.page?.offset = 0
        case .end: self.page?.offset = last
        case .escape, .enter, .interrupt, .backspace, .character("q"): self.page = nil
        default: return false
        }
        return true
    }

    // MARK: a line

    private mutating func type(_ key: StepKey) -> Request? {
        let text = typed ?? ""
        switch key {
        case .character(let character): typed = text + String(character)
        case .backspace: typed = text.isEmpty ? nil : String(text.dropLast())
        case .clear: typed = ""
        case .escape, .interrupt: typed = nil
        case .endOfInput: typed = text.isEmpty ? nil : text
        case .up, .down:
            recalled = min(max(0, recalled + (key == .up ? -1 : 1)), earlier.count)
            typed = recalled < earlier.count ? earlier[recalled] : ""
        case .enter:
            typed = nil
            guard text.contains(where: { !$0.isWhitespace }) else { return nil }
            if earlier.last != text { earlier.append(text) }
            return text == "q" || text == "quit" ? .quit : .command(text)
        default: break
        }
        return nil
    }
}
