/// Text of files and people, made fit for a terminal: also in the words of errors, wherever they are read.
extension String {
    /// Control characters as pictures, and what turns the direction of writing or ends a line as `\u202E`.
    ///
    /// - Parameter isMeant: which of them.
    package func picturingControls(where isMeant: (Unicode.Scalar) -> Bool = { _ in true }) -> String {
        guard unicodeScalars.contains(where: { $0.changesTerminal && isMeant($0) }) else { return self }
        var scalars = UnicodeScalarView()
        for scalar in unicodeScalars {
            guard scalar.changesTerminal, isMeant(scalar) else {
                scalars.append(scalar)
                continue
            }
            switch scalar.value {
            case 0x0A: scalars.append("⏎")
            case 0..<0x20: scalars.append(Unicode.Scalar(0x2400 + scalar.value)!)
            case 0x7F: scalars.append("␡")
            case ..<0xA0: scalars.append("\u{FFFD}")
            default: scalars.append(contentsOf: "\\u\(String(scalar.value, radix: 16, uppercase: true))".unicodeScalars)
            }
        }
        return String(scalars)
    }
}

extension Unicode.Scalar {
    /// Whether a terminal does something else with it than to show it in its place: controls, and what turns the direction
    /// of writing or ends a line.
    package var changesTerminal: Bool {
        switch value {
        case 0x202A...0x202E, 0x2066...0x2069, 0x2028, 0x2029: true
        default: properties.generalCategory == .control
        }
    }
}
