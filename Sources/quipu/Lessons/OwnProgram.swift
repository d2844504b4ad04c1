import Foundation
import ProgramFiles

/// This program, run by itself: lessons show what their commands really print.
enum OwnProgram {
    struct Outcome {
        let status: Int32
        let output: String
        let errors: String
    }

    /// Foundation's `Process` is not used: it waits by way of the network's loopback, and without one for ever.
    ///
    /// - Throws: `InputError` if the program cannot be started.
    static func run(_ arguments: [String]) throws -> Outcome {
        let (output, errors) = (try Channel(), try Channel())
        let child = try start(arguments, output, errors)
        close(output.writing)
        close(errors.writing)
        let said = read([output.reading, errors.reading])
        var status: Int32 = 0
        while waitpid(child, &status, 0) == -1, errno == EINTR {}
        return Outcome(
            status: code(status), output: String(decoding: said[0], as: UTF8.self),
            errors: String(decoding: said[1], as: UTF8.self))
    }

    /// A pipe whose ends no other program gets.
    private struct Channel {
        let reading: Int32
        let writing: Int32

        init() throws {
            var ends: [Int32] = [0, 0]
            guard pipe(&ends) == 0 else { throw OwnProgram.failure(errno) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            (reading, writing) = (ends[0], ends[1])
        }
    }

    private static func start(_ arguments: [String], _ output: Channel, _ errors: Channel) throws -> pid_t {
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
        #else
            var actions = posix_spawn_file_actions_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output.writing, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, errors.writing, STDERR_FILENO)
        let path = ProgramFolder.program.path
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        var environment = ProcessInfo.processInfo.environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for word in words + environment { free(word) } }
        var child = pid_t()
        let fault = posix_spawn(&child, path, &actions, nil, &words, &environment)
        guard fault == 0 else {
            for end in [output.reading, output.writing, errors.reading, errors.writing] { close(end) }
            throw failure(fault)
        }
        return child
    }

    private static func failure(_ code: Int32) -> InputError {
        InputError(
            "\(ProgramFolder.program.path): cannot be run again for a lesson: "
                + FileProblem.reason(of: POSIXError(POSIXErrorCode(rawValue: code) ?? .EIO)))
    }

    /// Reads descriptors to their ends, and closes them. All at once: a pipe that nobody empties would stop the others.
    private static func read(_ descriptors: [Int32]) -> [[UInt8]] {
        var said = descriptors.map { _ in [UInt8]() }
        var waiting = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while waiting.contains(where: { $0.fd >= 0 }) {
            guard poll(&waiting, nfds_t(waiting.count), -1) > 0 else { continue }
            for index in waiting.indices where waiting[index].revents != 0 {
                let count = Foundation.read(waiting[index].fd, &buffer, buffer.count)
                if count > 0 {
                    said[index] += buffer[..<count]
                } else if count == 0 || errno != EINTR {
                    close(waiting[index].fd)
                    waiting[index].fd = -1  // poll leaves it out
                }
            }
        }
        return said
    }

    /// The exit status; that of a program ended by a signal is 128 and its number, as in a shell.
    private static func code(_ status: Int32) -> Int32 {
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }

    /// The words of a command line, as a shell splits them: spaces, quotes of both kinds.
    ///
    /// - Returns: `nil` if a quote is not closed.
    static func words(_ line: String) -> [String]? {
        var (words, word, quote, isWord) = ([String](), "", Character?.none, false)
        for character in line {
            if let open = quote {
                if character == open { quote = nil } else { word.append(character) }
            } else if character == "'" || character == "\"" {
                (quote, isWord) = (character, true)
            } else if character.isWhitespace {
                if isWord { words.append(word) }
                (word, isWord) = ("", false)
            } else {
                word.append(character)
                isWord = true
            }
        }
        if isWord { words.append(word) }
        return quote == nil ? words : nil
    }
}
