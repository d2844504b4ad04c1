import Quantization
import Quantizing
import Tensors

/// Numbers as a format stores them, for queries: bytes, codes, scales and what they stand for.
struct EncodedNumbers {
    let record: Value

    /// A block of a model's file.
    init(_ block: WeightBlock) {
        record = Self.record([block.description], extra: ["offset": .number(Double(block.fileOffset))])
    }

    /// Numbers written in a block format, or in a textbook scheme as one row.
    ///
    /// - Parameter importance: of each number, as an importance matrix has it for the columns of a row; of block formats.
    init(_ values: [Float], as name: String, importance: [Float]? = nil) throws(QueryProblem) {
        if let scheme = TeachingSchemes.named(name) {
            let result = scheme.roundTrip(values, rows: 1, columns: values.count)
            record = .record([
                "values": .numbers(result.values.map(Double.init)), "bits": .number(result.bitsPerWeight),
                "d": Self.list(result.parameters.map { Double($0.scale) }),
                "zero_point": Self.list(result.parameters.map { Double($0.zeroPoint) }),
            ])
            return
        }
        guard let format = BlockFormats.describable.first(where: { $0.type.name.lowercased() == name.lowercased() })
        else {
            let known = BlockFormats.describable.map(\.type.name) + TeachingSchemes.all.map(\.id)
            throw .unknown(name: name, known: known)
        }
        let length = format.type.blockElements
        guard values.count % length == 0, !values.isEmpty else {
            throw .arguments(function: "encode", expected: "a multiple of \(length) numbers for \(format.type)")
        }
        guard importance.map({ $0.count == values.count }) ?? true else {
            throw .arguments(function: "encode", expected: "as many importances as numbers")
        }
        guard let bytes = Self.encoded(values, format, importance) else {
            throw .source(call: "encode", message: "nothing can be written in \(format.type)")
        }
        let blocks = stride(from: 0, to: bytes.count, by: format.type.blockBytes).map { start in
            format.describe(bytes.span.bytes.extracting(start..<start + format.type.blockBytes))
        }
        record = Self.record(blocks, extra: [:])
    }

    private static func encoded(
        _ values: [Float], _ format: any DescribableFormat, _ importance: [Float]?
    ) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: format.type.rowBytes(values.count)!)
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        if let weights = format as? any EncodableFormat {
            weights.encode(values.span, importance: importance?.span, into: &raw)
        } else if let activations = format as? any ActivationFormat {
            activations.encodeActivations(values.span, into: &raw)
        } else {
            return nil
        }
        return bytes
    }

    private static func record(_ blocks: [BlockDescription], extra: [String: Value]) -> Value {
        let (subs, elements) = (blocks.flatMap(\.subBlocks), blocks.flatMap(\.elements))
        let size = blocks.reduce(0) { $0 + $1.bytes.count }
        let isQuantised = blocks[0].isQuantised
        var fields: [String: Value] = [
            "bytes": .numbers(blocks.flatMap(\.bytes).map(Double.init)), "size": .number(Double(size)),
            "bits": .number(8 * Double(size) / Double(elements.count)),
            "codes": list(elements.map { Double($0.code) }), "values": list(elements.map { Double($0.value) }),
        ]
        if isQuantised { fields["scales"] = .numbers(subs.map { Double($0.scale!) }) }
        for (name, numbers) in [
            ("mins", subs.map { $0.minimum.map(Double.init) }),
            ("scale_codes", subs.map { $0.scaleCode.map { Double($0.code) } }),
            ("min_codes", subs.map { $0.minimumCode.map { Double($0.code) } }),
            ("d", blocks.map { $0.scales.scale.map(Double.init) }),
            ("m", blocks.map { $0.scales.minimum.map(Double.init) }),
        ] where !numbers.contains(nil) {
            let found = numbers.compactMap { $0 }
            fields[name] = ["d", "m"].contains(name) ? list(found) : .numbers(found)
        }
        return .record(fields.merging(extra) { $1 })
    }

    private static func list(_ numbers: [Double]) -> Value {
        numbers.count == 1 ? .number(numbers[0]) : .numbers(numbers)
    }
}
