import ArgumentParser
import Foundation

struct ThreadOption: ParsableArguments {
    @Option(name: .shortAndLong, help: "Threads. Results are the same to the bit with any number. (default: all cores)")
    var threads: Int?

    var count: Int { threads ?? ProcessInfo.processInfo.activeProcessorCount }

    func validate() throws {
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads takes 1 to 1024") }
    }
}
