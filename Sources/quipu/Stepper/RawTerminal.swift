import Foundation
import Synchronization

/// The terminal while the stepper has it: keys one by one, a screen of its own, and both given back however the program
/// ends, short of `kill -9`.
///
/// Signal handlers touch only atomics, the two terminal settings, which are written before a handler is installed, and
/// calls that POSIX allows in a handler (`write`, `tcsetattr`, `kill`, `_exit`).
enum RawTerminal {
    /// What a signal asked for.
    enum Event: Hashable {
        case interrupt, resize, end(Int32)
    }

    private static let isActive = Atomic<Bool>(false)
    private static let isBusy = Atomic<Bool>(false)
    private static let interrupts = Atomic<Int>(0)
    private static let resizes = Atomic<Int>(0)
    private static let ending = Atomic<Int>(0)
    nonisolated(unsafe) private static let cooked = UnsafeMutablePointer<termios>.allocate(capacity: 1)
    nonisolated(unsafe) private static let raw = UnsafeMutablePointer<termios>.allocate(capacity: 1)
    /// A handler writes a byte, so that whoever waits for keys wakes up, whichever thread the signal reached.
    private static let wake: (read: Int32, write: Int32) = {
        var ends: [Int32] = [-1, -1]
        _ = pipe(&ends)
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        return (ends[0], ends[1])
    }()

    // MARK: taking and giving back

    /// Takes the terminal, until `leave`.
    static func enter() {
        tcgetattr(STDIN_FILENO, cooked)
        raw.pointee = cooked.pointee
        // Ctrl-C and Ctrl-Z stay signals: they must work while a long search runs.
        raw.pointee.c_lflag &= ~tcflag_t(ICANON | ECHO | IEXTEN)
        raw.pointee.c_iflag &= ~tcflag_t(IXON)
        withUnsafeMutableBytes(of: &raw.pointee.c_cc) {
            $0[Int(VMIN)] = 1; $0[Int(VTIME)] = 0
        }
        install()
        atexit { RawTerminal.leave() }
        take()
    }

    /// Gives the terminal back as it was. Does nothing the second time.
    static func leave() {
        guard isActive.exchange(false, ordering: .sequentiallyConsistent) else { return }
        put("\u{1B}[0m\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l")
        tcsetattr(STDIN_FILENO, TCSANOW, cooked)
    }

    /// Another screen, no cursor, lines that end at the edge.
    private static func take() {
        tcsetattr(STDIN_FILENO, TCSANOW, raw)
        put("\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l")
        isActive.store(true, ordering: .sequentiallyConsistent)
    }

    private static func put(_ text: StaticString) { _ = write(STDOUT_FILENO, text.utf8Start, text.utf8CodeUnitCount) }

    // MARK: signals

    /// Whether Ctrl-C was pressed since the last event.
    static var isInterrupted: Bool { interrupts.load(ordering: .relaxed) > 0 }

    /// Runs `body`, during which Ctrl-C only sets `isInterrupted`, a second one ends the program, and so does SIGTERM.
    static func working<Result>(_ body: () throws -> Result) rethrows -> Result {
        interrupts.store(0, ordering: .relaxed)
        isBusy.store(true, ordering: .sequentiallyConsistent)
        defer {
            isBusy.store(false, ordering: .sequentiallyConsistent)
            interrupts.store(0, ordering: .relaxed)
        }
        return try body()
    }

    /// For line mode: Ctrl-C stops what is going on, else ends the program.
    static func catchInterrupts() { handle(SIGINT) { _ in RawTerminal.interrupted() } }

    private static func install() {
        catchInterrupts()
        for number in [SIGTERM, SIGHUP, SIGQUIT] { handle(number) { RawTerminal.ended(by: $0) } }
        for number in [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT] { handle(number) { RawTerminal.die(of: $0) } }
        handle(SIGWINCH) { _ in RawTerminal.resized() }
        handle(SIGTSTP) { _ in RawTerminal.suspend() }
    }

    private static func handle(_ number: Int32, _ body: @escaping @convention(c) (Int32) -> Void) {
        _ = wake  // made here: a handler must not
        var action = sigaction()
        #if canImport(Darwin)
            action.__sigaction_u.__sa_handler = body
        #elseif canImport(Musl)
            action.__sa_handler.sa_handler = body
        #else
            action.__sigaction_handler.sa_handler = body
        #endif
        action.sa_flags = SA_RESTART
        sigaction(number, &action, nil)
    }

    private static func interrupted() {
        let isSecond = interrupts.add(1, ordering: .relaxed).newValue > 1
        let isIdleLine = !isActive.load(ordering: .relaxed) && !isBusy.load(ordering: .relaxed)
        if (isSecond && isBusy.load(ordering: .relaxed)) || isIdleLine {
            leave()
            _exit(130)
        }
        nudge()
    }

    private static func ended(by number: Int32) {
        if isBusy.load(ordering: .relaxed) { die(of: number) }
        ending.store(Int(number), ordering: .relaxed)
        nudge()
    }

    /// As the signal would have, but with a sane terminal. Takes effect when the handler returns.
    private static func die(of number: Int32) {
        leave()
        signal(number, SIG_DFL)
        raise(number)
    }

    private static func resized() {
        resizes.add(1, ordering: .relaxed)
        nudge()
    }

    /// Ctrl-Z: the shell gets its terminal, and we ours when we go on.
    private static func suspend() {
        let wasActive = isActive.load(ordering: .relaxed)
        leave()
        kill(getpid(), SIGSTOP)
        if wasActive { take() }
        resized()
    }

    private static func nudge() {
        var byte: UInt8 = 0
        _ = write(wake.write, &byte, 1)
    }

    private static func nextEvent() -> Event? {
        let number = ending.exchange(0, ordering: .relaxed)
        if number != 0 { return .end(Int32(number)) }
        if interrupts.exchange(0, ordering: .relaxed) > 0 { return .interrupt }
        return resizes.exchange(0, ordering: .relaxed) > 0 ? .resize : nil
    }

    /// Ends the program as a signal would have.
    static func end(by number: Int32) -> Never {
        leave()
        signal(number, SIG_DFL)
        // To the process: this thread may be one of those that take no signals.
        kill(getpid(), number)
        sleep(1)
        exit(128 + number)
    }

    // MARK: keys

    enum Input {
        case bytes([UInt8])
        case event(Event)
        case nothing, end
    }

    /// Waits for keys or a signal.
    ///
    /// - Parameter milliseconds: how long at most; `nil`: for ever.
    static func wait(milliseconds: Int32? = nil) -> Input {
        while true {
            if let event = nextEvent() { return .event(event) }
            var descriptors = [
                pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wake.read, events: Int16(POLLIN), revents: 0),
            ]
            let count = poll(&descriptors, 2, milliseconds ?? -1)
            if count < 0 && errno != EINTR { return .end }
            if count == 0 { return .nothing }
            if descriptors[1].revents != 0 {
                var rest = [UInt8](repeating: 0, count: 64)
                _ = read(wake.read, &rest, rest.count)
                continue
            }
            guard count > 0, descriptors[0].revents != 0 else { continue }
            var bytes = [UInt8](repeating: 0, count: 256)
            let length = read(STDIN_FILENO, &bytes, bytes.count)
            if length > 0 { return .bytes(Array(bytes[..<length])) }
            if length == 0 || errno != EINTR { return .end }
        }
    }
}
