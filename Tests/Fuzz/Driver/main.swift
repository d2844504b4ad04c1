// libFuzzer on one of the targets: FuzzDriver TARGET [options and folders of libFuzzer]. Built by scripts/fuzz.sh only.
import FuzzTargets

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Of libFuzzer, which `-sanitize=fuzzer` links.
@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

nonisolated(unsafe) var target = FuzzTarget.all[0]

guard CommandLine.argc > 1, let chosen = FuzzTarget.all.first(where: { $0.name == CommandLine.arguments[1] }) else {
    for target in FuzzTarget.all { print("\(target.name): \(target.summary)") }
    exit(CommandLine.argc > 1 ? 64 : 0)
}
target = chosen

// libFuzzer starts itself again by its first argument for some options, which would lose the target's name: not used here.
var arguments = CommandLine.unsafeArgv
arguments[1] = arguments[0]
arguments += 1
var count = CommandLine.argc - 1
exit(
    runFuzzer(&count, &arguments) { bytes, count in
        target.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    })
