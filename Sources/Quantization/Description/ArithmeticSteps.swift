import Tensors

extension BlockDescription {
    /// How the bytes become the value of one weight, a sentence a step, with this block's numbers.
    ///
    /// - Precondition: `index` is a weight of the block.
    public func steps(of index: Int) -> [String] {
        guard isQuantised else { return numberSteps }
        let element = elements[index]
        var steps = fields.filter { $0.content == .number }.map { field in
            "\(field.name): \(Self.bytes(field.range)) = \(field.bytes.map { hex(Int($0)) }.joined(separator: " ")): "
                + field.meaning
        }
        if let scaleBits {
            steps.append("d: \(words(scaleBits)) = 0x\(hex(scaleBits.code, digits: 4)), an F16: \(scales.scale!)")
        }
        steps += subBlockSteps(element.sub)
        if points.isEmpty {
            steps.append("code q: \(words(element.stored))")
            if let table = book.table { steps.append("table: T[\(element.code)] = \(table[element.code])") }
        } else {
            steps += pointSteps(points[index / 8], element: index % 8)
        }
        return steps + [valueStep(element, points.isEmpty ? nil : points[index / 8])]
    }

    /// What the formula makes of the numbers, exactly as `decode` computes and rounds it.
    private func valueStep(_ element: Element, _ point: GridPoint?) -> String {
        let sub = subBlocks[element.sub]
        let factor: String
        if let table = book.table {
            factor = "\(table[element.code])"
        } else if let shift = point?.shift {
            factor = "(\(element.code) \(shift.code == 1 ? "-" : "+") 0.125)"
        } else {
            factor = point == nil ? element.stored.term : "\(element.code)"
        }
        var words = "value: \(formula) = \(sub.scale!) * \(factor)"
        if let minimum = sub.minimum {
            let product = sub.scale! * element.factor!
            let sign = scales.use == .added ? "+" : "-"
            words += " \(sign) \(parenthesised(minimum)) = \(product) \(sign) \(parenthesised(minimum))"
        }
        return words + " = \(element.value)"
    }

    /// How a super-block's scale and minimum become those of a sub-block.
    private func subBlockSteps(_ index: Int) -> [String] {
        let sub = subBlocks[index]
        guard let scale = sub.scaleCode, let term = sub.scaleTerm else { return [] }
        let of = "of sub-block \(index) (weights \(sub.elements.lowerBound) to \(sub.elements.upperBound - 1))"
        let product = scales.scale.map { "d * \(term) = \($0) * \(term)" } ?? term
        var steps = ["scale code \(of): \(words(scale))", "scale: \(product) = \(sub.scale!)"]
        if let minimum = sub.minimumCode {
            steps.append("min code \(of): \(words(minimum))")
            steps.append(
                "min: dmin * \(minimum.term) = \(scales.minimum!) * \(minimum.term) = \(sub.minimum!)")
        }
        return steps
    }

    /// How indices, signs and shift become the integer of one of eight weights.
    private func pointSteps(_ point: GridPoint, element: Int) -> [String] {
        let length = 8 / point.indices.count
        let (number, inPoint) = (element / length, element % length)
        let first = point.elements.lowerBound + number * length
        let values = point.values[number * length..<(number + 1) * length].map(String.init).joined(separator: ", ")
        let index = point.indices[number]
        var steps = [
            "index of weights \(first) to \(first + length - 1): \(words(index))",
            "grid: point \(index.code) is \(values); number \(inPoint) of them, from 0: \(point.values[element])",
        ]
        if let signs = point.signs {
            let isNegative = point.isNegative[element]
            let result = "\(isNegative ? "negative" : "positive"), so g = \(point.code(element))"
            if point.hasSevenSigns, element == 7 {
                let others = point.isNegative[..<7].count { $0 }
                steps.append(
                    "sign: not stored; the other seven (\(words(signs))) have \(others) negative, and the eighth makes "
                        + "their number even: \(result)")
            } else {
                let part = signs.parts.first { (0..<$0.width).contains(element - $0.offset) }!
                let bit = BitField(part.byte, shift: part.shift + element - part.offset, width: 1)
                steps.append("sign: \(words(bit)): \(result)")
            }
        }
        if let shift = point.shift {
            steps.append("shift: \(words(shift)): an eighth \(shift.code == 1 ? "down" : "up")")
        }
        return steps
    }

    private func parenthesised(_ value: Float) -> String { value.sign == .minus ? "(\(value))" : "\(value)" }

    /// `bits 0-3 of byte 7 (0x5c) = 12`.
    private func words(_ integer: StoredInteger) -> String {
        if let digit = integer.digit {
            let (byte, power) = (integer.parts[0].byte, StoredInteger.power(digit))
            let rest = Int(bytes[byte]) * power & 255
            return
                "digit \(digit) to base 3 of byte \(byte) (0x\(hex(Int(bytes[byte]))) = \(bytes[byte])): \(bytes[byte]) * "
                + "\(power) modulo 256 = \(rest), \(rest) * 3 / 256 rounded down = \(integer.code)"
        }
        let sum = integer.parts.count > 1 ? "; together \(integer.code)" : ""
        let sign = integer.isSigned ? " with sign = \(integer.code)" : ""
        let byte = integer.parts.count == 1 && integer.parts[0].width == 8 && !integer.isSigned
        return integer.parts.map(words).joined(separator: " and ") + sum + sign + (byte ? " = \(integer.code)" : "")
    }

    private func words(_ part: BitField) -> String {
        let byte = "byte \(part.byte) (0x\(hex(Int(bytes[part.byte]))))"
        let times = part.offset > 0 ? ", times \(1 << part.offset)" : ""
        if part.width == 8 { return byte + times }
        let bits = part.width == 1 ? "bit \(part.shift)" : "bits \(part.shift)-\(part.shift + part.width - 1)"
        return "\(bits) of \(byte) = \(Int(bytes[part.byte]) >> part.shift & (1 << part.width - 1))" + times
    }

    private static func bytes(_ range: Range<Int>) -> String {
        range.count == 1 ? "byte \(range.lowerBound)" : "bytes \(range.lowerBound)-\(range.upperBound - 1)"
    }

    /// Sign, exponent and mantissa of a number that stands for itself.
    private var numberSteps: [String] {
        let (bits, code) = (8 * bytes.count, elements[0].code)
        let exponentBits = type == .f16 ? 5 : 8
        let mantissaBits = bits - 1 - exponentBits
        let bias = 1 << (exponentBits - 1) - 1
        let (sign, exponent) = (code >> (bits - 1), code >> mantissaBits & (1 << exponentBits - 1))
        let mantissa = code & (1 << mantissaBits - 1)
        let last = 1 << exponentBits - 1
        let minus = sign == 1 ? "-" : ""
        var steps = [
            "number: bytes 0-\(bytes.count - 1) = \(bytes.map { hex(Int($0)) }.joined(separator: " ")), lowest first: "
                + "0x\(hex(code, digits: 2 * bytes.count))",
            "sign: bit \(bits - 1) = \(sign)",
            "exponent: bits \(mantissaBits)-\(bits - 2) = \(exponent)",
            "mantissa: bits 0-\(mantissaBits - 1) = \(mantissa)",
        ]
        switch exponent {
        case last: steps.append("value: an exponent of all ones is infinity or no number = \(elements[0].value)")
        case 0:
            steps.append(
                "value: exponent 0 is subnormal: \(minus)2^\(1 - bias) * \(mantissa) / \(1 << mantissaBits)"
                    + " = \(elements[0].value)")
        default:
            steps.append(
                "value: \(minus)2^(\(exponent) - \(bias)) * (1 + \(mantissa) / \(1 << mantissaBits))"
                    + " = \(elements[0].value)")
        }
        return steps
    }
}
