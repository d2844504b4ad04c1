import Foundation

/// What a command of this program prints with `--json`, as queries read it.
///
/// A list of objects is read by column: `rows.kld` are the `kld` of all rows. Numbers that are missing, and those that JSON
/// cannot write, are NaN and the infinities; texts that are missing are empty; what is null everywhere is left out.
enum CommandOutput {
    /// - Throws: what is wrong with the JSON.
    static func value(_ data: Data) throws -> Value {
        value(try JSONSerialization.jsonObject(with: data)) ?? .record([:])
    }

    // Numbers first: most values are, and a cast of one to a text is slow.
    private static func value(_ json: Any) -> Value? {
        switch json {
        case let number as NSNumber: isTruth(number) ? .truth(number.boolValue) : .number(number.doubleValue)
        case let object as [String: Any]: .record(object.compactMapValues(value))
        case let text as String: .text(text)
        case let list as [Any]: column(list.map(Optional.some))
        default: nil
        }
    }

    /// Values of one kind, of which some may be missing; what stands for a number that JSON cannot write is a text.
    private static func column(_ items: [Any?]) -> Value? {
        let present = items.lazy.compactMap { $0 is NSNull ? nil : $0 }
        switch present.first(where: { !($0 is String) }) {
        case is NSNumber: return .numbers(items.map(number))
        case is [String: Any]:
            let rows = items.map { $0 as? [String: Any] ?? [:] }
            var columns: [String: Value] = [:]
            for key in Set(rows.flatMap(\.keys)) { columns[key] = column(rows.map { $0[key] }) }
            return .record(columns)
        case nil: return present.isEmpty ? nil : .texts(items.map { $0 as? String ?? "" })
        default: return nil
        }
    }

    private static func number(_ item: Any?) -> Double {
        switch item {
        case let number as NSNumber: number.doubleValue
        case "inf" as String: .infinity
        case "-inf" as String: -.infinity
        default: .nan
        }
    }

    /// Foundation keeps truths as numbers of one byte.
    private static func isTruth(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }
}
