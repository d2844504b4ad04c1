import Tensors

extension BlockDescription {
    /// How the bytes become the value of one weight, a sentence a step, with this block's numbers.
    ///
    /// - Precondition: `index` is a weight of the block.
    public func steps(of index: Int) -> [String] {
        guard isQuantised else { return numberSteps }
        let element = elements[index]
        var steps = fields.filter { ["d", "m", "dmin"].contains($0.name) }.map { field in
            "\(field.name): \(Self.place(field.range)) = \(field.bytes.map { hex(Int($0)) }.joined(separator: " ")): "
                + field.meaning
        }
        steps += subBlockSteps(element.sub)
        steps.append("code q: \(words(element.code))")
        return steps + [valueStep(element)]
    }

    /// What the formula makes of the numbers, exactly as `decode` computes and rounds it.
    private func valueStep(_ element: Element) -> String {
        let (sub, code) = (subBlocks[element.sub], element.code)
        let factor = code.subtracted == 0 ? "\(code.code)" : "(\(code.code) - \(code.subtracted))"
        var words = "value: \(formula) = \(sub.scale!) * \(factor)"
        if let minimum = sub.minimum {
            let product = sub.scale! * Float(code.factor)
            let sign = scales.use == .added ? "+" : "-"
            words += " \(sign) \(parenthesised(minimum)) = \(product) \(sign) \(parenthesised(minimum))"
        }
        return words + " = \(element.value)"
    }

    /// How a super-block's scale and minimum become those of a sub-block.
    private func subBlockSteps(_ index: Int) -> [String] {
        let sub = subBlocks[index]
        guard let scale = sub.scaleCode else { return [] }
        let of = "of sub-block \(index) (weights \(sub.elements.lowerBound) to \(sub.elements.upperBound - 1))"
        var steps = [
            "scale code \(of): \(words(scale))",
            "scale: d * \(factor(scale)) = \(scales.scale!) * \(factor(scale)) = \(sub.scale!)",
        ]
        if let minimum = sub.minimumCode {
            steps.append("min code \(of): \(words(minimum))")
            steps.append("min: dmin * \(factor(minimum)) = \(scales.minimum!) * \(factor(minimum)) = \(sub.minimum!)")
        }
        return steps
    }

    private func factor(_ integer: StoredInteger) -> String {
        integer.subtracted == 0 ? "\(integer.code)" : "(\(integer.code) - \(integer.subtracted))"
    }

    private func parenthesised(_ value: Float) -> String { value.sign == .minus ? "(\(value))" : "\(value)" }

    /// `low 4 bits of byte 7 (0x5c) = 12`.
    private func words(_ integer: StoredInteger) -> String {
        let parts = integer.parts.map { part -> String in
            let byte = "byte \(part.byte) (0x\(hex(Int(bytes[part.byte]))))"
            if part.width == 8 { return byte }
            let bits = part.width == 1 ? "bit \(part.shift)" : "bits \(part.shift)-\(part.shift + part.width - 1)"
            let value = Int(bytes[part.byte]) >> part.shift & (1 << part.width - 1)
            return "\(bits) of \(byte) = \(value)" + (part.place > 0 ? ", times \(1 << part.place)" : "")
        }
        let sum = parts.count > 1 ? "; together \(integer.code)" : ""
        let sign = integer.isSigned ? " with sign = \(integer.code)" : ""
        let byte = parts.count == 1 && integer.parts[0].width == 8 && !integer.isSigned ? " = \(integer.code)" : ""
        return parts.joined(separator: " and ") + sum + sign + byte
    }

    private static func place(_ range: Range<Int>) -> String {
        range.count == 1 ? "byte \(range.lowerBound)" : "bytes \(range.lowerBound)-\(range.upperBound - 1)"
    }

    /// Sign, exponent and mantissa of a number that stands for itself.
    private var numberSteps: [String] {
        let (bits, code) = (8 * bytes.count, elements[0].code.code)
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
