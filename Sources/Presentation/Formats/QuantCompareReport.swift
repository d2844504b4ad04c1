import GGUF
import Quantizing
import Tensors

/// The result of `quant compare`: formats side by side on one tensor.
public struct QuantCompareReport: Report {
    let file: String
    let tensor: String
    let storedType: String
    let shape: [Int]
    @OrNull var imatrix: String?
    /// By bits per weight, then by error.
    let formats: [QuantErrorsReport.Line]
    let notTried: [FormatNotTried]
    private let stored: [TensorType]

    private enum CodingKeys: CodingKey { case file, tensor, storedType, shape, imatrix, formats, notTried }

    /// - Parameters:
    ///   - imatrix: the importance matrix's path.
    ///   - notTried: formats that the tensor was not written in.
    public init(
        file: String, tensor: TensorInfo, errors: [TensorError], imatrix: String? = nil,
        notTried: [FormatNotTried] = []
    ) {
        self.file = file
        self.tensor = tensor.name
        self.imatrix = imatrix
        self.notTried = notTried
        storedType = tensor.type.name
        stored = tensor.type.blockElements > 1 ? [tensor.type] : []
        shape = tensor.shape.significant
        formats = errors.map(QuantErrorsReport.Line.init).sorted {
            ($0.bpw, $0.error.relRmse) < ($1.bpw, $1.error.relRmse)
        }
    }

    public func page(_ style: Style) -> String {
        var table = Table([("format", .whole)] + QuantErrorsReport.columns)
        for line in formats { table.add([line.label] + QuantErrorsReport.cells(line)) }
        var lines = [
            style.bold(tensor) + "  \(storedType) \(shape.map(String.init).joined(separator: "x"))",
            "its decoded values written in each format; bpw with scales and all else", "",
        ]
        if let imatrix { lines.insert("importance matrix: \(imatrix)".cut(to: style.width), at: 2) }
        lines += table.lines(style)
        if formats.contains(where: \.textbook) {
            let note = QuantErrorsReport.Line.textbookNote + "; `explain format NAME` tells of each"
            lines += note.wrapped(to: style.width, paint: style.dim)
        }
        lines += FormatNotTried.lines(notTried, style) + QuantErrorsReport.warning(stored, style)
        return (lines + [""] + scatter(style)).joined(separator: "\n")
    }

    /// Bits per weight that the picture reaches to: beyond are formats of no interest for their size.
    private static let most = 9.0

    /// Signal to noise over bits per weight; a letter a format, a digit a textbook scheme.
    private func scatter(_ style: Style) -> [String] {
        let points = formats.filter { $0.error.sqnrDb.isFinite && $0.bpw < Self.most + 0.5 }
        guard let low = points.map(\.error.sqnrDb).min(), let high = points.map(\.error.sqnrDb).max(), high > low else {
            return []
        }
        let (width, height) = (min(90, style.width - 17), 16)
        var canvas = Array(repeating: Array(repeating: Character(" "), count: width), count: height)
        var legend: [String] = []
        var (letters, digits) = (Self.letters[...], Self.digits[...])
        for point in points {
            let mark = (point.textbook ? digits.popFirst() : letters.popFirst()) ?? "?"
            let x = Int(point.bpw / (Self.most + 0.5) * Double(width - 1))
            let y = Int((high - point.error.sqnrDb) / (high - low) * Double(height - 1))
            // Next to a column that is taken: each is a small part of a bit.
            let free = (x..<min(x + 3, width)).first { canvas[y][$0] == " " }
            canvas[y][free ?? x] = free == nil ? "*" : mark
            legend.append("\(mark) \(point.type)")
        }
        var lines = [style.bold("Signal to quantisation noise over bits per weight: up is better, left is smaller")]
        for (y, row) in canvas.enumerated() {
            let decibels = high - (high - low) * Double(y) / Double(height - 1)
            lines.append(Numbers.fixed(decibels, 1).leftPadded(to: 7) + " dB │" + String(row))
        }
        lines.append(String(repeating: " ", count: 11) + "└" + String(repeating: "─", count: width))
        lines.append(String(repeating: " ", count: 12) + axis(width))
        let beyond = formats.filter { $0.bpw >= Self.most + 0.5 }.map(\.label)
        if canvas.joined().contains("*") { legend.append("* several") }
        lines += legend.wrapped(to: style.width - 2, separator: "   ", indent: "").map { "  " + $0 }
        return lines + (beyond.isEmpty ? [] : [style.dim("Beyond the picture: " + beyond.joined(separator: ", "))])
    }

    private static let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    private static let digits = Array("123456789")

    /// Whole bits below the picture.
    private func axis(_ width: Int) -> String {
        var marks = Array(repeating: Character(" "), count: width)
        for bits in 0...Int(Self.most) {
            let x = Int(Double(bits) / (Self.most + 0.5) * Double(width - 1))
            marks[x] = Character("\(bits)")
        }
        return String(marks) + " bpw"
    }
}
