import Foundation
import FuzzTargets
import TestSupport
import Testing

@Suite struct FuzzTests {
    private static let corpus = Places.package.appending(path: "Tests/Fuzz/Corpus")

    /// What `make fuzz` kept: inputs that reach far, and those that once ended the process.
    @Test(arguments: FuzzTarget.all.map(\.name))
    func keptInputsAreReadOrRefused(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let folder = Self.corpus.appending(path: name)
        let inputs = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(!inputs.isEmpty)
        for input in inputs { target.run(Array(try Data(contentsOf: input))) }
    }

    /// A folder without a target would never be tried.
    @Test func everyFolderHasATarget() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path)
        #expect(Set(folders) == Set(FuzzTarget.all.map(\.name)))
    }
}
