import Foundation

/// Who may ask: only pages that this program served itself. Another site's script can send requests to this machine, and a name
/// of its own can lead here, but neither knows the secret, and both are told apart by their headers.
struct LiveGuard: Sendable {
    let port: UInt16
    let token = Self.secret()

    private var hosts: [String] { ["127.0.0.1:\(port)", "localhost:\(port)"] }

    /// The address's first part, which nobody else knows.
    var base: String { "/\(token)/" }

    /// - Returns: `nil` if the request is in order.
    func refusal(of request: HTTPRequest) -> HTTPFault? {
        guard let host = request.headers["host"], hosts.contains(host.lowercased()) else {
            return HTTPFault(403, "found another host than 127.0.0.1")
        }
        if let origin = request.headers["origin"], !hosts.contains(where: { origin == "http://\($0)" }) {
            return HTTPFault(403, "found another page's request")
        }
        if let site = request.headers["sec-fetch-site"], !["same-origin", "none"].contains(site) {
            return HTTPFault(403, "found another page's request")
        }
        guard isSecret(request.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().first ?? "")
        else {
            return HTTPFault(403, "the address lacks the secret that `quipu open` printed")
        }
        guard ["GET", "POST"].contains(request.method) else {
            return HTTPFault(405, "found the method \(request.method.prefix(20)), expected GET or POST")
        }
        let type = request.headers["content-type"]?.split(separator: ";").first?.lowercased() ?? ""
        if request.method == "POST", type.trimmingCharacters(in: .whitespaces) != "application/json" {
            return HTTPFault(415, "expected application/json")
        }
        return nil
    }

    /// In a time that does not tell how much of it is right.
    private func isSecret(_ text: Substring) -> Bool {
        let (a, b) = (Array(text.utf8), Array(token.utf8))
        guard a.count == b.count else { return false }
        return zip(a, b).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// What is asked for, without the secret.
    func path(of request: HTTPRequest) -> String { String(request.path.dropFirst(base.utf8.count)) }

    /// With what a browser must know: scripts of ours alone, no frames, nothing kept, nothing for others.
    func secured(_ answer: HTTPAnswer, nonce: String) -> HTTPAnswer {
        var answer = answer
        let policy = [
            "default-src 'none'", "script-src 'nonce-\(nonce)'", "style-src 'unsafe-inline'", "connect-src 'self'",
            "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
        ]
        answer.headers += [
            ("Content-Security-Policy", policy.joined(separator: "; ")), ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-store"),
            ("Cross-Origin-Resource-Policy", "same-origin"), ("Cross-Origin-Opener-Policy", "same-origin"),
        ]
        return answer
    }

    /// 128 random bits.
    static func secret() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<2).map { _ in
            let half = String(generator.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - half.count) + half
        }.joined()
    }
}
