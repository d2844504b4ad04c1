@preconcurrency import Rainbow

/// How text is dressed for where it goes: colours only where they are wanted, and the width to stay within.
public struct Style: Sendable {
    public let isColored: Bool
    /// Columns.
    public let width: Int

    public init(isColored: Bool, width: Int = 80) {
        self.isColored = isColored
        self.width = max(40, width)
        // Rainbow decides by its own look at the terminal, once; the caller has already decided, by option and terminal.
        if isColored { (Rainbow.enabled, Rainbow.outputTarget) = (true, .console) }
    }

    public static let plain = Style(isColored: false)

    public func bold(_ text: String) -> String { isColored ? text.bold : text }
    public func dim(_ text: String) -> String { isColored ? text.dim : text }
    public func accent(_ text: String) -> String { isColored ? text.cyan : text }
    public func warning(_ text: String) -> String { isColored ? text.yellow : text }

    /// Text on a background of 24-bit colour.
    func onBackground(_ text: String, _ color: (red: UInt8, green: UInt8, blue: UInt8)) -> String {
        isColored ? text.onBit24((color.red, color.green, color.blue)) : text
    }
}
