import Foundation

/// A request as HTTP/1.1 has it (RFC 9112), with a body of known length.
struct HTTPRequest: Sendable {
    let method: String
    /// Of the address: what stands before the question mark, and after it; as they were sent.
    let path: String
    let query: String
    /// Names in small letters; values of a name that comes again stand behind each other, with commas.
    let headers: [String: String]
    /// A client of HTTP/1.0 knows no chunks, and gets one answer.
    let isOld: Bool
    var body: [UInt8] = []

    static let mostHeadBytes = 1 << 14
    static let mostBodyBytes = 1 << 16

    /// - Parameter head: request line and headers, without the empty line that ends them.
    /// - Throws: `HTTPFault` that says what is wrong.
    init(head: some Collection<UInt8>) throws(HTTPFault) {
        // Bytes above ASCII are let through as what they are; nobody here asks for such a header.
        guard head.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || [0x09, 0x0A, 0x0D].contains($0) }) else {
            throw .malformed("control characters")
        }
        let text = String(String.UnicodeScalarView(head.map { Unicode.Scalar($0) }))
        let lines = text.components(separatedBy: "\r\n")
        guard !lines.contains(where: { $0.unicodeScalars.contains { $0 == "\r" || $0 == "\n" } }) else {
            throw .malformed("a line that does not end in CR LF")
        }
        let words = lines[0].split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, Self.isToken(words[0]) else {
            throw .malformed("no request line; expected METHOD ADDRESS HTTP/1.1")
        }
        guard ["HTTP/1.1", "HTTP/1.0"].contains(words[2]) else {
            throw words[2].hasPrefix("HTTP/")
                ? HTTPFault(505, "found \(words[2].prefix(16)), expected HTTP/1.1")
                : .malformed("no request line; expected METHOD ADDRESS HTTP/1.1")
        }
        guard words[1].hasPrefix("/"), words[1].utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw .malformed("an address that does not begin with /, or is not percent-encoded")
        }
        (method, isOld) = (String(words[0]), words[2] == "HTTP/1.0")
        let parts = words[1].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        (path, query) = (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        headers = try Self.headers(lines.dropFirst())
        guard isOld || headers["host"] != nil else { throw .malformed("no header Host") }
    }

    private static func headers(_ lines: some Sequence<String>) throws(HTTPFault) -> [String: String] {
        var headers: [String: String] = [:]
        for line in lines {
            // A space before the colon, or at the start of a line, has smuggled requests past others.
            guard let colon = line.firstIndex(of: ":"), isToken(line[..<colon]) else {
                throw .malformed("a header line without name and colon")
            }
            let name = line[..<colon].lowercased()
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            if let before = headers[name] {
                guard !["host", "content-length"].contains(name) else { throw .malformed("two headers \(name)") }
                headers[name] = "\(before), \(value)"
            } else {
                headers[name] = value
            }
        }
        return headers
    }

    private static func isToken(_ text: some StringProtocol) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"): true
                default: "!#$%&'*+-.^_`|~".utf8.contains($0)
                }
            }
    }

    /// How many bytes follow the head.
    ///
    /// - Throws: `HTTPFault` if nobody says, or if they are too many.
    func bodyBytes() throws(HTTPFault) -> Int {
        guard headers["transfer-encoding"] == nil else {
            throw HTTPFault(411, "found Transfer-Encoding, expected Content-Length")
        }
        guard let text = headers["content-length"] else {
            guard method != "POST" else { throw HTTPFault(411, "found no Content-Length") }
            return 0
        }
        guard !text.isEmpty, text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
            throw .malformed("a Content-Length that is no number")
        }
        guard let length = Int(text), length <= Self.mostBodyBytes else {
            throw HTTPFault(413, "found a body of more than \(Self.mostBodyBytes) bytes, which is the most")
        }
        return length
    }

    /// Whether the client expects more answers on the same connection.
    var isKeptOpen: Bool {
        let words = headers["connection"]?.lowercased().split(separator: ",") ?? []
        return !isOld && !words.contains { $0.trimmingCharacters(in: .whitespaces) == "close" }
    }
}

/// Why a request is not answered.
struct HTTPFault: Error {
    let status: Int
    let reason: String

    init(_ status: Int, _ reason: String) { (self.status, self.reason) = (status, reason) }

    static func malformed(_ found: String) -> HTTPFault { HTTPFault(400, "found \(found)") }
}

struct HTTPAnswer: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        /// Sent as they come. The closure gets a function that sends, and says whether anyone still listens.
        case stream(@Sendable (_ send: @escaping ([UInt8]) -> Bool) -> Void)
    }

    let status: Int
    var headers: [(name: String, value: String)]
    let body: Body
    /// Whether the connection is closed after it.
    var isLast = false

    init(status: Int = 200, type: String, body: Body) {
        (self.status, self.body) = (status, body)
        headers = [("Content-Type", type)]
    }

    static func text(_ words: String, status: Int) -> HTTPAnswer {
        HTTPAnswer(status: status, type: "text/plain; charset=utf-8", body: .bytes(Array((words + "\n").utf8)))
    }

    /// - Parameter isChunked: how a stream is sent; without, its end is that of the connection.
    func head(isChunked: Bool, isLast: Bool) -> [UInt8] {
        var lines = ["HTTP/1.1 \(status) \(Self.phrases[status] ?? "Refused")"]
        lines += headers.map { "\($0.name): \($0.value)" }
        switch body {
        case .bytes(let bytes): lines.append("Content-Length: \(bytes.count)")
        case .stream: if isChunked { lines.append("Transfer-Encoding: chunked") }
        }
        if isLast { lines.append("Connection: close") }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    private static let phrases = [
        200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
        408: "Request Timeout", 411: "Length Required", 413: "Content Too Large", 414: "URI Too Long",
        415: "Unsupported Media Type", 417: "Expectation Failed", 422: "Unprocessable Content",
        429: "Too Many Requests", 431: "Request Header Fields Too Large", 503: "Service Unavailable",
        505: "HTTP Version Not Supported",
    ]
}
