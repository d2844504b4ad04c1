import Foundation
import Synchronization

/// HTTP/1.1 on this machine alone, a thread for each client: there are few, and what they ask for waits for other programs.
final class HTTPServer: Sendable {
    typealias Answering = @Sendable (Result<HTTPRequest, HTTPFault>) -> HTTPAnswer

    let port: UInt16
    private let listener: Int32
    private let state = Mutex((clients: Set<Int32>(), isStopped: false))

    private static let mostClients = 32

    /// Begins to listen on 127.0.0.1.
    ///
    /// - Parameter port: 0 for one that is free.
    /// - Throws: `InputError` if it is taken.
    init(port: UInt16) throws {
        #if canImport(Darwin)
            let kind = SOCK_STREAM
        #else
            let kind = Int32(SOCK_STREAM.rawValue)
        #endif
        let listener = ChildProgram.withoutInheritance { [socket(AF_INET, kind, 0)] }[0]
        guard listener >= 0 else { throw InputError("no socket can be made: \(String(cString: strerror(errno)))") }
        // Started again, it need not wait until its former connections are forgotten.
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        address.sin_port = port.bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        let reason = String(cString: strerror(errno))
        // Who went away between being noticed and being let in must not be waited for.
        _ = fcntl(listener, F_SETFL, O_NONBLOCK)
        guard isListening else {
            close(listener)
            throw InputError(
                "127.0.0.1\(port == 0 ? "" : ":\(port)"): cannot be listened on: \(reason). Give another --port.")
        }
        (self.listener, self.port) = (listener, UInt16(bigEndian: address.sin_port))
    }

    /// Answers until it is stopped, then waits for what is under way.
    func run(_ answer: @escaping Answering) {
        while !isStopped {
            var waiting = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 100) > 0 else { continue }
            let client = ChildProgram.withoutInheritance { [accept(listener, nil, nil)] }[0]
            guard client >= 0 else {
                // Out of descriptors, perhaps: until some are closed.
                usleep(20_000)
                continue
            }
            let isWelcome = state.withLock { state in
                state.clients.count < Self.mostClients && state.clients.insert(client).inserted
            }
            guard isWelcome else {
                let fault = HTTPFault(503, "found \(Self.mostClients) connections, which is the most")
                let connection = HTTPConnection(client)
                _ = connection.send(answer(.failure(fault)), to: nil)
                connection.close()
                continue
            }
            Thread.detachNewThread { [self] in
                let connection = HTTPConnection(client)
                serve(connection, answer)
                // First, or its number might be another's already.
                state.withLock { _ = $0.clients.remove(client) }
                connection.close()
            }
        }
        close(listener)
        for _ in 0..<100 where state.withLock({ !$0.clients.isEmpty }) { usleep(50_000) }
    }

    private func serve(_ connection: HTTPConnection, _ answer: Answering) {
        while !isStopped {
            do throws(HTTPFault) {
                guard let request = try connection.request() else { return }
                guard connection.send(answer(.success(request)), to: request) else { break }
            } catch {
                _ = connection.send(answer(.failure(error)), to: nil)
                break
            }
        }
        connection.end()
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Ends all connections; what writes to one learns that nobody listens.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            for client in state.clients { shutdown(client, Int32(SHUT_RDWR)) }
        }
    }
}
