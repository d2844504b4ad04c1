import Foundation
import ProgramFiles
import Synchronization

/// Another program, run to its end, or to a limit.
///
/// Foundation's `Process` is not used: it waits by way of the network's loopback, and without one for ever.
struct ChildProgram {
    struct Outcome {
        /// The exit status; that of a program ended by a signal is 128 and its number, as in a shell.
        let status: Int32
        let output: String
        let errors: String
        /// Whether it was ended because its time was over.
        var isLate = false
    }

    let path: String
    var environment = ProcessInfo.processInfo.environment
    /// Seconds until it is ended, with all that it started. `nil`: never.
    var seconds: Double?
    /// How much of what it prints is kept; the rest is read and forgotten.
    var longest = Int.max

    /// - Parameter isStopped: asked ten times a second; `true` stops the program as Ctrl-C does.
    /// - Throws: `POSIXError` if the program cannot be started.
    func run(_ arguments: [String], isStopped: (() -> Bool)? = nil) throws -> Outcome {
        let (output, errors) = (try Channel(), try Channel())
        let child: pid_t
        do { child = try spawn(arguments, output: output.writing, errors: errors.writing) } catch {
            for end in [output.reading, output.writing, errors.reading, errors.writing] { close(end) }
            throw error
        }
        close(output.writing)
        close(errors.writing)
        let (said, isLate) = read([output.reading, errors.reading], of: child, isStopped)
        var status: Int32 = 0
        while waitpid(child, &status, 0) == -1, errno == EINTR {}
        // What it left behind.
        if seconds != nil { kill(-child, SIGKILL) }
        return Outcome(
            status: Self.code(status), output: String(decoding: said[0], as: UTF8.self),
            errors: String(decoding: said[1], as: UTF8.self), isLate: isLate)
    }

    private static let starting = Mutex(())

    /// Opens descriptors that no program gets which another thread starts meanwhile: it would hold them open.
    ///
    /// - Parameter open: gives the new descriptors; negative numbers are none.
    static func withoutInheritance(_ open: () -> [Int32]) -> [Int32] {
        starting.withLock { _ in
            let opened = open()
            for descriptor in opened where descriptor >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
            return opened
        }
    }

    private struct Channel {
        let reading: Int32
        let writing: Int32

        init() throws {
            var fault: Int32 = 0
            let ends = ChildProgram.withoutInheritance {
                var ends: [Int32] = [-1, -1]
                if pipe(&ends) != 0 { fault = errno }
                return ends
            }
            guard fault == 0 else { throw POSIXError(POSIXErrorCode(rawValue: fault) ?? .EIO) }
            (reading, writing) = (ends[0], ends[1])
        }
    }

    private func spawn(_ arguments: [String], output: Int32, errors: Int32) throws -> pid_t {
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
            var attributes: posix_spawnattr_t?
        #else
            var actions = posix_spawn_file_actions_t()
            var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        // This program may ignore them and hear of them otherwise; another would ignore them until it does the same.
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        // Those that a thread of this program does not hear would never reach it, an alarm of its own neither.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        // A group of its own, so that all of it can be ended.
        let group = seconds == nil ? 0 : POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | group))
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for word in words + variables { free(word) } }
        var child = pid_t()
        let fault = Self.starting.withLock { _ in
            posix_spawn(&child, path, &actions, &attributes, &words, &variables)
        }
        guard fault == 0 else { throw POSIXError(POSIXErrorCode(rawValue: fault) ?? .EIO) }
        return child
    }

    /// Reads descriptors to their ends, and closes them. All at once: a pipe that nobody empties would stop the others.
    private func read(
        _ descriptors: [Int32], of child: pid_t, _ isStopped: (() -> Bool)?
    ) -> ([[UInt8]], isLate: Bool) {
        var said = descriptors.map { _ in [UInt8]() }
        var waiting = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let end = seconds.map { ContinuousClock.now + .seconds($0) }
        var (isLate, isTold) = (false, false)
        var lastWords: ContinuousClock.Instant?
        while waiting.contains(where: { $0.fd >= 0 }) {
            // What it started may hold the pipes open after it has ended, and for ever.
            if end != nil, lastWords == nil, Self.hasEnded(child) { lastWords = .now + .seconds(1) }
            if let lastWords, ContinuousClock.now >= lastWords { break }
            if let end, !isLate, ContinuousClock.now >= end {
                kill(-child, SIGKILL)
                isLate = true
            }
            if let isStopped, !isTold, isStopped() {
                kill(child, SIGINT)  // once: a second one would not let it close its files
                isTold = true
            }
            let wait: Int32 = seconds == nil && isStopped == nil ? -1 : 100
            guard poll(&waiting, nfds_t(waiting.count), wait) > 0 else { continue }
            for index in waiting.indices where waiting[index].revents != 0 {
                let count = Foundation.read(waiting[index].fd, &buffer, buffer.count)
                if count > 0 {
                    said[index] += buffer[..<min(count, longest - said[index].count)]
                } else if count == 0 || errno != EINTR {
                    close(waiting[index].fd)
                    waiting[index].fd = -1  // poll leaves it out
                }
            }
        }
        for left in waiting where left.fd >= 0 { close(left.fd) }
        return (said, isLate)
    }

    /// Whether a child has ended; its status is still to be fetched.
    private static func hasEnded(_ child: pid_t) -> Bool {
        var info = siginfo_t()
        return waitid(P_PID, id_t(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_signo == SIGCHLD
    }

    /// Starts another program, which gets no terminal and is not waited for.
    ///
    /// - Returns: whether it could be started.
    func startDetached(_ arguments: [String]) -> Bool {
        guard let silence = FileHandle(forUpdatingAtPath: "/dev/null") else { return false }
        defer { try? silence.close() }
        return (try? spawn(arguments, output: silence.fileDescriptor, errors: silence.fileDescriptor)) != nil
    }

    private static func code(_ status: Int32) -> Int32 {
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }
}
