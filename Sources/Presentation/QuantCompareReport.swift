import Analysis
import GGUF
import Tensors

/// The result of `quant compare`: formats side by side on one tensor.
public struct QuantCompareReport: Report {
    let file: String
    let tensor: String
    let storedType: String
    let shape: [Int]
    /// By bits per weight, then by error.
    let formats: [QuantErrorsReport.Line]

    public init(file: String, tensor: TensorInfo, errors: [TensorError]) {
        self.file = file
        self.tensor = tensor.name
        storedType = tensor.type.name
        shape = tensor.shape.significant
        formats = errors.map(QuantErrorsReport.Line.init).sorted {
            ($0.bpw, $0.error.relRmse) < ($1.bpw, $1.error.relRmse)
        }
    }

    public func page(_ style: Style) -> String {
        var table = Table(QuantErrorsReport.columns)
        for line in formats { table.add(QuantErrorsReport.cells(line)) }
        let title =
            style.bold(tensor)
            + "  \(storedType) \(shape.map(String.init).joined(separator: "x")), its decoded values written in each format"
        return ([title, ""] + table.lines(style) + [""] + scatter(style)).joined(separator: "\n")
    }

    /// Signal to noise over bits per weight; a letter a format. Six decibels are one bit.
    private func scatter(_ style: Style) -> [String] {
        let points = formats.filter { $0.error.sqnrDb.isFinite && $0.bpw <= 16 }
        guard let low = points.map(\.error.sqnrDb).min(), let high = points.map(\.error.sqnrDb).max(), high > low else {
            return []
        }
        let (width, height) = (min(60, style.width - 20), 14)
        let bits = (0.0, (points.map(\.bpw).max() ?? 8) + 0.5)
        var canvas = Array(repeating: Array(repeating: Character(" "), count: width), count: height)
        var legend: [String] = []
        for (number, point) in points.enumerated() {
            let letter = Character(UnicodeScalar(UInt8(ascii: "a") + UInt8(number % 26)))
            let x = Int((point.bpw - bits.0) / (bits.1 - bits.0) * Double(width - 1))
            let y = Int((high - point.error.sqnrDb) / (high - low) * Double(height - 1))
            canvas[y][x] = canvas[y][x] == " " ? letter : "*"
            legend.append("\(letter) \(point.type)")
        }
        var lines = [style.bold("Signal to quantisation noise over bits per weight")]
        for (y, row) in canvas.enumerated() {
            let decibels = high - (high - low) * Double(y) / Double(height - 1)
            lines.append(Numbers.fixed(decibels, 1).leftPadded(to: 7) + " dB │" + String(row))
        }
        lines.append(String(repeating: " ", count: 11) + "└" + String(repeating: "─", count: width))
        lines.append(
            String(repeating: " ", count: 12) + "0"
                + "\(Numbers.fixed(bits.1, 1)) bits a weight".leftPadded(to: width - 1))
        return lines + wrapped(legend + ["* several"], style)
    }

    private func wrapped(_ words: [String], _ style: Style) -> [String] {
        words.reduce(into: [" "]) { lines, word in
            if lines.last!.displayWidth + word.displayWidth + 3 > style.width { lines.append(" ") }
            lines[lines.count - 1] += "  " + word
        }
    }
}
