import Rainbow

/// How text is dressed for where it goes: colours only where they are wanted, and the width to stay within.
public struct Style: Sendable {
    public let isColored: Bool
    /// Columns.
    public let width: Int

    public init(isColored: Bool, width: Int = 80) {
        self.isColored = isColored
        self.width = max(40, width)
    }

    public static let plain = Style(isColored: false)

    /// A whole page as a terminal may get it: no controls, but for the colours that this style gave it.
    public func shown(_ page: String) -> String { isColored ? page.pageWithoutControls : page.withoutControls }

    public func bold(_ text: String) -> String { dressed(Rainbow.Segment(text: text, styles: [.bold])) }
    public func dim(_ text: String) -> String { dressed(Rainbow.Segment(text: text, styles: [.dim])) }
    public func accent(_ text: String) -> String { dressed(Rainbow.Segment(text: text, color: .named(.cyan))) }
    public func good(_ text: String) -> String { dressed(Rainbow.Segment(text: text, color: .named(.green))) }
    public func bad(_ text: String) -> String { dressed(Rainbow.Segment(text: text, color: .named(.red))) }
    public func warning(_ text: String) -> String { dressed(Rainbow.Segment(text: text, color: .named(.yellow))) }

    /// Text on a background of 24-bit colour.
    func onBackground(
        _ text: String, _ color: (red: UInt8, green: UInt8, blue: UInt8), isBlack: Bool = false
    ) -> String {
        dressed(
            Rainbow.Segment(
                text: text, color: isBlack ? .named(.black) : nil,
                backgroundColor: .bit24((color.red, color.green, color.blue))))
    }

    /// Rainbow's own generator asks its global settings whether the terminal takes colours; here the caller has decided.
    private func dressed(_ segment: Rainbow.Segment) -> String {
        guard isColored, !segment.text.isEmpty else { return segment.text }
        let codes =
            (segment.backgroundColor?.value ?? []) + (segment.color?.value ?? [])
            + (segment.styles ?? []).flatMap(\.value)
        let (begin, end) = ("\u{1B}[" + codes.map { "\($0)" }.joined(separator: ";") + "m", "\u{1B}[0m")
        // Dressed text within this text ends all that holds: what follows it begins anew.
        return begin + segment.text.replacing(end, with: end + begin) + end
    }
}
