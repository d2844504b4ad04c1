import Foundation

/// One client: its requests one after the other, each bounded in bytes and in time.
final class HTTPConnection {
    private let socket: Int32
    /// What came after the last request.
    private var pending: [UInt8] = []

    /// Seconds: for a request's first byte, for the rest of its head, for its body, and for a client to take any of an
    /// answer.
    private static let (idle, head, body, taking) = (30.0, 10.0, 10.0, 20.0)

    init(_ socket: Int32) {
        self.socket = socket
        // A client that takes nothing must not hold up a write beyond its time.
        _ = fcntl(socket, F_SETFL, O_NONBLOCK)
    }

    // MARK: requests

    /// - Returns: `nil` if the client asks for nothing more.
    /// - Throws: `HTTPFault`, after which nothing can be read any more.
    func request() throws(HTTPFault) -> HTTPRequest? {
        if pending.isEmpty, receive(until: .now + .seconds(Self.idle)) != .more { return nil }
        var request = try HTTPRequest(head: takeHead(until: .now + .seconds(Self.head)))
        let length = try request.bodyBytes()
        if let expected = request.headers["expect"] {
            guard expected.lowercased() == "100-continue" else { throw HTTPFault(417, "found an unknown Expect") }
            if pending.count < length { _ = send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
        }
        let end = ContinuousClock.now + .seconds(Self.body)
        while pending.count < length { try receiveMore("body", until: end) }
        request.body = Array(pending.prefix(length))
        pending.removeFirst(length)
        return request
    }

    /// The bytes before the empty line, which is taken too.
    private func takeHead(until end: ContinuousClock.Instant) throws(HTTPFault) -> [UInt8] {
        var (at, last) = (0, UInt8(0))
        while true {
            while at < pending.count {
                let byte = pending[at]
                if byte == UInt8(ascii: "\n") {
                    guard last == UInt8(ascii: "\r") else { throw .malformed("a line that does not end in CR LF") }
                    if at >= 3, pending[at - 2] == UInt8(ascii: "\n") {
                        defer { pending.removeFirst(at + 1) }
                        return Array(pending[..<(at - 3)])
                    }
                    guard at > 1 else { throw .malformed("an empty line, expected METHOD ADDRESS HTTP/1.1") }
                }
                (at, last) = (at + 1, byte)
                guard at < HTTPRequest.mostHeadBytes else {
                    let isAddress = !pending[..<at].contains(UInt8(ascii: "\n"))
                    throw HTTPFault(
                        isAddress ? 414 : 431,
                        "found \(isAddress ? "an address" : "headers") of more than \(HTTPRequest.mostHeadBytes) bytes")
                }
            }
            try receiveMore("head", until: end)
        }
    }

    private func receiveMore(_ part: String, until end: ContinuousClock.Instant) throws(HTTPFault) {
        switch receive(until: end) {
        case .more: return
        case .late: throw HTTPFault(408, "the rest of the request's \(part) did not come in time")
        case .end: throw .malformed("the end of a request in its \(part)")
        }
    }

    private enum Received { case more, late, end }

    private func receive(until end: ContinuousClock.Instant) -> Received {
        guard isReady(for: POLLIN, until: end) else { return .late }
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        let count = recv(socket, &buffer, buffer.count, 0)
        if count < 0, [EAGAIN, EINTR].contains(errno) { return receive(until: end) }
        guard count > 0 else { return .end }
        pending += buffer[..<count]
        return .more
    }

    private func isReady(for events: Int32, until end: ContinuousClock.Instant) -> Bool {
        while true {
            let left = (end - .now) / .milliseconds(1)
            guard left > 0 else { return false }
            var waiting = pollfd(fd: socket, events: Int16(events), revents: 0)
            let ready = poll(&waiting, 1, Int32(left.rounded(.up)))
            if ready != 0 { return ready > 0 || errno != EINTR }
        }
    }

    // MARK: answers

    /// - Parameter request: `nil` if none could be read.
    /// - Returns: whether the connection can be used again.
    func send(_ answer: HTTPAnswer, to request: HTTPRequest?) -> Bool {
        let isChunked = request.map { !$0.isOld } ?? false
        let isLast = answer.isLast || request?.isKeptOpen != true
        let head = answer.head(isChunked: isChunked, isLast: isLast)
        // A HEAD is refused as others are, but an answer to it has no body.
        if request?.method == "HEAD" { return send(head) && !isLast }
        switch answer.body {
        case .bytes(let bytes): return send(head + bytes) && !isLast
        case .stream(let write):
            // Called in any case, so that it can undo what it began.
            var isHeard = send(head)
            write { [self] bytes in
                guard isHeard, !bytes.isEmpty else { return isHeard }
                let size = Array((String(bytes.count, radix: 16) + "\r\n").utf8)
                isHeard = send(isChunked ? size + bytes + Array("\r\n".utf8) : bytes)
                return isHeard
            }
            return isHeard && (!isChunked || send(Array("0\r\n\r\n".utf8))) && !isLast
        }
    }

    private func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { Foundation.send(socket, $0.baseAddress! + sent, $0.count - sent, 0) }
            if count > 0 {
                sent += count
            } else {
                guard [EAGAIN, EINTR].contains(errno),
                    isReady(for: POLLOUT, until: .now + .seconds(Self.taking))
                else { return false }
            }
        }
        return true
    }

    /// Lets the client read the last answer: what it still sends is thrown away, a little of it, or it would be told that
    /// the connection broke.
    func end() {
        shutdown(socket, Int32(SHUT_WR))
        let end = ContinuousClock.now + .seconds(1)
        for _ in 0..<64 {
            pending = []
            guard receive(until: end) == .more else { return }
        }
    }

    func close() { _ = Foundation.close(socket) }
}
