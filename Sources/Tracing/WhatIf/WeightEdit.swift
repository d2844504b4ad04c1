import GGUF
import LlamaModel
import Quantization
import Quantizing
import Recording
import Tensors

/// A change to one number of a stored weight tensor: a code or a scale of a block, or an element of a plain tensor.
///
/// `NAME@row=R,block=B,code=I` with the code, `NAME@row=R,block=B,scale` or `min` with a value or `*FACTOR`, and
/// `NAME@row=R,column=C,value` for F32, F16 and BF16. Scales and minima are the block's own, rounded to F16 as stored.
struct WeightEdit: Sendable {
    enum Part: Sendable, Equatable {
        case code(Int)
        case scale
        case minimum
        case element
    }

    let tensor: String
    let row: Int
    /// Index in the row; for `element`, the column.
    let index: Int
    let part: Part
    let isFactor: Bool
    let value: Float

    private static let form = """
        NAME@row=R,block=B,code=I:V, NAME@row=R,block=B,scale=X (or scale*=X, min=X, min*=X), \
        or NAME@row=R,column=C,value=X (or value*=X)
        """

    /// Splits what the user writes into target and spec; `=` and `*=` are the record's, with which it is read again.
    static func record(_ text: String) throws(InterventionProblem) -> InterventionRecord {
        guard let at = text.lastIndex(of: "@"), let comma = text.lastIndex(of: ","), comma > at else {
            throw .syntax(text: text, expected: form)
        }
        let last = text[text.index(after: comma)...]
        let name: Substring, spec: Substring
        if last.hasPrefix("code=") {
            guard let colon = last.lastIndex(of: ":") else { throw .syntax(text: text, expected: form) }
            (name, spec) = (last[..<colon], last[last.index(after: colon)...])
        } else if let equals = last.firstIndex(of: "=") {
            let isFactor = last[..<equals].hasSuffix("*")
            name = isFactor ? last[..<equals].dropLast() : last[..<equals]
            let number = last[last.index(after: equals)...]
            spec = isFactor ? "*" + number : number
        } else {
            throw .syntax(text: text, expected: form)
        }
        return InterventionRecord(.weight, target: String(text[...comma] + name), spec: String(spec))
    }

    init(_ record: InterventionRecord) throws(InterventionProblem) {
        let malformed = InterventionProblem.syntax(text: "\(record.target) \(record.spec)", expected: Self.form)
        guard let at = record.target.lastIndex(of: "@") else { throw malformed }
        tensor = String(record.target[..<at])
        var numbers: [Substring: Int] = [:]
        for pair in record.target[record.target.index(after: at)...].split(separator: ",") {
            let sides = pair.split(separator: "=", maxSplits: 1)
            guard let key = sides.first, numbers[key] == nil else { throw malformed }
            // What is changed by name alone has no number here.
            guard let number = sides.count > 1 ? Int(sides[1]) : key == "code" ? nil : 0, number >= 0 else {
                throw malformed
            }
            numbers[key] = number
        }
        isFactor = record.spec.hasPrefix("*")
        guard let row = numbers["row"], let value = Float(record.spec.drop { $0 == "*" }), value.isFinite else {
            throw malformed
        }
        (self.row, self.value) = (row, value)
        switch Set(numbers.keys) {
        case ["row", "block", "code"]:
            guard !isFactor, Int(record.spec) != nil else { throw malformed }
            (index, part) = (numbers["block"]!, .code(numbers["code"]!))
        case ["row", "block", "scale"]: (index, part) = (numbers["block"]!, .scale)
        case ["row", "block", "min"]: (index, part) = (numbers["block"]!, .minimum)
        case ["row", "column", "value"]: (index, part) = (numbers["column"]!, .element)
        default: throw malformed
        }
    }

    /// Where the edited block lies in its file's tensor.
    func info(in file: GGUFFile) throws -> TensorInfo {
        guard let info = file.tensor(named: tensor) else {
            throw InterventionProblem.noTensor(
                file: file.path, name: tensor, suggestions: nearest(to: tensor, in: file.tensors.map(\.name)))
        }
        let blocks = info.shape.ne0 / info.type.blockElements
        for (part, found, count) in [
            ("row", row, info.shape.rows), (self.part == .element ? "column" : "block", index, blocks),
        ] where !(0..<count).contains(found) {
            throw InterventionProblem.outside(
                file: file.path, tensor: tensor, part: part, found: found, range: 0...count - 1)
        }
        return info
    }

    /// Changes the bytes of the one block in a copy of the tensor.
    func apply(to copy: Tensor, _ info: TensorInfo, in file: GGUFFile) throws {
        let perRow = info.shape.ne0 / info.type.blockElements
        let start = (row * perRow + index) * info.type.blockBytes
        let range = start..<start + info.type.blockBytes
        guard let format = BlockFormats.describableFormat(for: info.type) else {
            throw BlockProblem.notDescribable(file: file.path, tensor: info.name, type: info.type)
        }
        let block = copy.source.withBytes(in: range, format.describe)
        let bytes = try changed(block, file)
        copy.buffer.withMutableBytes(in: range) { target in
            for (i, byte) in bytes.enumerated() { target.storeBytes(of: byte, toByteOffset: i, as: UInt8.self) }
        }
    }

    private func changed(_ block: BlockDescription, _ file: GGUFFile) throws -> [UInt8] {
        switch part {
        case .code(let index): try withCode(index, block, file)
        case .scale: try withHalf(["d"], "the scale", block, file)
        case .minimum: try withHalf(["m", "dmin"], "the minimum", block, file)
        case .element: try withElement(block, file)
        }
    }

    private func withCode(_ index: Int, _ block: BlockDescription, _ file: GGUFFile) throws -> [UInt8] {
        guard block.isQuantised else {
            throw refusal("codes", block, file, "it holds plain numbers; use column=C,value=X")
        }
        guard block.points.isEmpty else {
            throw refusal("single codes", block, file, "each is a point of a grid for several weights")
        }
        guard block.elements.indices.contains(index) else {
            throw outside("code index", index, 0...block.elements.count - 1, file)
        }
        let stored = block.elements[index].stored
        guard stored.digit == nil else {
            throw refusal("single codes", block, file, "several are packed as digits into a byte")
        }
        let width = stored.parts.map { $0.offset + $0.width }.max()!
        let codes = stored.isSigned ? -(1 << (width - 1))...(1 << (width - 1)) - 1 : 0...(1 << width) - 1
        guard let code = Int(exactly: value), codes.contains(code) else {
            throw outside("code", Int(exactly: value) ?? .max, codes, file)
        }
        var bytes = block.bytes
        for part in stored.parts {
            let mask = (1 << part.width - 1) << part.shift
            let bits = (code >> part.offset) << part.shift & mask
            bytes[part.byte] = UInt8(Int(bytes[part.byte]) & ~mask | bits)
        }
        return bytes
    }

    private func withHalf(
        _ names: [String], _ part: String, _ block: BlockDescription, _ file: GGUFFile
    ) throws -> [UInt8] {
        let field = block.fields.first { $0.content == .number && names.contains($0.name) && $0.bytes.count == 2 }
        guard let field else {
            throw refusal(part, block, file, "a block has no F16 '\(names.joined(separator: "' or '"))'")
        }
        let old = Half.float(f16: UInt16(field.bytes[0]) | UInt16(field.bytes[1]) << 8)
        var bytes = block.bytes
        bytes.replaceSubrange(field.range, with: try stored(old, as: .f16, file))
        return bytes
    }

    private func withElement(_ block: BlockDescription, _ file: GGUFFile) throws -> [UInt8] {
        guard !block.isQuantised else {
            throw refusal("single values", block, file, "it is quantised; use block=B and code=I:V, scale or min")
        }
        return try stored(block.elements[0].value, as: block.type, file)
    }

    /// The new number, little-endian. `*=1` keeps the bits.
    private func stored(_ old: Float, as type: TensorType, _ file: GGUFFile) throws -> [UInt8] {
        let new = isFactor ? old * value : value
        let (bits, back): (UInt32, Float) =
            switch type {
            case .f16: (UInt32(Half.f16(new)), Half.float(f16: Half.f16(new)))
            case .bf16: (UInt32(Half.bf16(new)), Half.float(bf16: Half.bf16(new)))
            default: (new.bitPattern, new)
            }
        guard back.isFinite || !old.isFinite else {
            throw InterventionProblem.notFinite(file: file.path, tensor: tensor, type: type, value: new)
        }
        return (0..<(type == .f32 ? 4 : 2)).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
    }

    private func refusal(
        _ part: String, _ block: BlockDescription, _ file: GGUFFile, _ reason: String
    ) -> InterventionProblem {
        .notEditable(file: file.path, tensor: tensor, type: block.type, part: part, reason: reason)
    }

    private func outside(_ part: String, _ found: Int, _ range: ClosedRange<Int>, _ file: GGUFFile)
        -> InterventionProblem
    {
        .outside(file: file.path, tensor: tensor, part: part, found: found, range: range)
    }
}
