/// What a template is given: data as JSON has it, with keys in their order.
public indirect enum JinjaData: Sendable, Equatable {
    public struct Entry: Sendable, Equatable {
        public let key: String
        public let value: JinjaData

        public init(_ key: String, _ value: JinjaData) { (self.key, self.value) = (key, value) }
    }

    case none
    case bool(Bool)
    case integer(Int)
    case number(Double)
    /// UTF-8; what is not is passed on as it is.
    case bytes([UInt8])
    case list([JinjaData])
    case object([Entry])

    public static func text(_ text: String) -> JinjaData { .bytes(Array(text.utf8)) }

    public static func object(_ entries: KeyValuePairs<String, JinjaData>) -> JinjaData {
        .object(entries.map { Entry($0.key, $0.value) })
    }
}

/// A moment as clocks on the wall show it, for `strftime_now`.
public struct JinjaMoment: Sendable, Equatable {
    public let year: Int
    /// 1 to 12.
    public let month: Int
    /// 1 to 31.
    public let day: Int
    public let hour: Int
    public let minute: Int
    public let second: Int

    public init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        (self.year, self.month, self.day) = (year, month, day)
        (self.hour, self.minute, self.second) = (hour, minute, second)
    }

    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]
    private static let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

    /// 0 is Sunday. Sakamoto's method, in the Gregorian calendar.
    private var weekday: Int {
        let offsets = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4]
        let year = month < 3 ? year - 1 : year
        return (year + year / 4 - year / 100 + year / 400 + offsets[month - 1] + day) % 7
    }

    private var dayOfYear: Int {
        let isLeap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return lengths.prefix(month - 1).reduce(day, +)
    }

    /// As C's `strftime` in the C locale.
    func formatted(_ format: String) throws -> String {
        var text = ""
        var rest = Array(format.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                text.unicodeScalars.append(scalar)
                continue
            }
            var directive = rest.popFirst()
            let isShort = directive == "-"
            if isShort { directive = rest.popFirst() }
            guard let directive, let part = part(directive, isShort: isShort) else {
                throw JinjaError.unsupported("the time format \"\(format)\"")
            }
            text += part
        }
        return text
    }

    private func part(_ directive: Unicode.Scalar, isShort: Bool) -> String? {
        func padded(_ number: Int, _ width: Int = 2) -> String {
            let digits = String(number)
            return isShort ? digits : String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        switch directive {
        case "Y": return String(year)
        case "y": return padded(year % 100)
        case "m": return padded(month)
        case "d": return padded(day)
        case "e" where !isShort: return day < 10 ? " \(day)" : String(day)
        case "H": return padded(hour)
        case "I": return padded((hour + 11) % 12 + 1)
        case "M": return padded(minute)
        case "S": return padded(second)
        case "j": return padded(dayOfYear, 3)
        case "B": return Self.months[month - 1]
        case "b", "h": return String(Self.months[month - 1].prefix(3))
        case "A": return Self.days[weekday]
        case "a": return String(Self.days[weekday].prefix(3))
        case "p": return hour < 12 ? "AM" : "PM"
        case "F": return "\(String(year))-" + padded(month) + "-" + padded(day)
        case "T": return [hour, minute, second].map { padded($0) }.joined(separator: ":")
        case "%": return "%"
        default: return nil
        }
    }
}
