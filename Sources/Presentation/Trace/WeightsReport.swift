import GGUF
import Quantization
import Recording
import Tensors

/// The result of `show` for weights of a model's file: a tensor, or a slice of one, as its format decodes.
public struct WeightsReport: Report {
    struct Element: Encodable {
        let index: [Int]
        let value: Float
    }

    let model: String
    let name: String
    let type: String
    /// Of the whole tensor, ne0 first.
    let shape: [Int]
    /// First and last-plus-one index in each dimension.
    let slice: [[Int]]
    let n: Int
    let mean: Double
    let rms: Double
    let smallest: Element
    let largest: Element
    let largestInSize: Element
    /// ne0 fastest; left out (null) if there are more than `limit`.
    @OrNull var values: [Float]?

    /// Values that are kept.
    public static let limit = 4096

    /// - Precondition: the tensor's format can be decoded, and the ranges lie in its shape.
    public init(_ tensor: TensorInfo, of file: GGUFFile, ranges: [Range<Int>]) {
        (model, name, type) = (file.path, tensor.name, tensor.type.name)
        (shape, slice) = (tensor.shape.dimensions, ranges.map { [$0.lowerBound, $0.upperBound] })
        var (count, sum, squares) = (0, 0.0, 0.0)
        var (low, high, loud): (Element?, Element?, Element?)
        var kept: [Float] = []
        let weights = file.values(of: tensor)
        for i3 in ranges[3] {
            for i2 in ranges[2] {
                for i1 in ranges[1] {
                    let row = i1 + tensor.shape[1] * (i2 + tensor.shape[2] * i3)
                    let decoded = weights.decodedRows(row..<row + 1)
                    for i0 in ranges[0] {
                        let value = decoded[i0]
                        let element = Element(index: [i0, i1, i2, i3], value: value)
                        count += 1
                        sum += Double(value)
                        squares += Double(value) * Double(value)
                        if low.map({ value < $0.value }) ?? true { low = element }
                        if high.map({ value > $0.value }) ?? true { high = element }
                        if loud.map({ abs(value) > abs($0.value) }) ?? true { loud = element }
                        if kept.count <= Self.limit { kept.append(value) }
                    }
                }
            }
        }
        n = count
        (mean, rms) = (sum / Double(count), (squares / Double(count)).squareRoot())
        (smallest, largest, largestInSize) = (low!, high!, loud!)
        _values = OrNull(wrappedValue: kept.count > Self.limit ? nil : kept)
    }

    public func page(_ style: Style) -> String {
        let significant = Shape(shape).significant.count
        func place(_ element: Element) -> String {
            let indices = element.index.prefix(significant).map { "\($0)" }.joined(separator: ",")
            return "\(Numbers.short(Double(element.value))) at [\(indices)]"
        }
        let what = "  weights  \(type) \(Shape(shape))"
        let fits = (name + what + "  " + model).displayWidth <= style.width
        var lines = [style.bold(name) + what + (fits ? style.dim("  \(model)") : "")]
        if !fits { lines.append(style.dim(model)) }
        if slice.indices.contains(where: { slice[$0][1] - slice[$0][0] != Shape(shape)[$0] }) {
            let bounds = slice.prefix(significant).map { "\($0[0]):\($0[1])" }
            lines.append("slice [\(bounds.joined(separator: ", "))]")
        }
        lines.append("n \(n)  mean \(Numbers.short(mean))  rms \(Numbers.short(rms))")
        lines.append("smallest        \(place(smallest))")
        lines.append("largest         \(place(largest))")
        lines.append("largest in size \(place(largestInSize))")
        lines.append("")
        let shown = (values ?? []).prefix(64)
        for start in stride(from: 0, to: shown.count, by: 8) {
            let texts = shown[start..<min(start + 8, shown.count)].map { Numbers.short(Double($0)) }
            lines.append(texts.map { String(repeating: " ", count: max(0, 9 - $0.count)) + $0 }.joined())
        }
        if n > shown.count {
            lines.append(
                style.dim(
                    shown.isEmpty
                        ? "Name a slice, as in \(name)[0:64], to see numbers." : "… and \(n - shown.count) more"))
        }
        return lines.joined(separator: "\n")
    }
}
