import Foundation
import ProgramFiles
import TestSupport
import Testing

/// Files that come with the program are found in each layout, from where the program really lies.
@Suite struct ProgramFolderTests {
    private let bench: TemporaryFolder

    init() throws { bench = try TemporaryFolder() }

    /// Writes a file with the folders above it.
    private func write(_ name: String) throws {
        try FileManager.default.createDirectory(
            at: bench.url.appending(path: name).deletingLastPathComponent(), withIntermediateDirectories: true)
        try bench.write(name, to: name)
    }

    private func found(_ file: String, program: String, resource: String = "") throws -> String {
        try ProgramFolder("lessons", target: "Lessons", resource: resource, program: bench.url.appending(path: program))
            .path(of: file)
    }

    /// The temporary folder itself may be behind a link.
    private func real(_ name: String) -> String { bench.url.resolvingSymlinksInPath().appending(path: name).path }

    @Test func besideTheProgramAsBuilt() throws {
        try write("release/quipu")
        try write("release/quipu_Lessons.resources/lessons/course.yml")
        #expect(
            try found("course.yml", program: "release/quipu", resource: "lessons")
                == real("release/quipu_Lessons.resources/lessons/course.yml"))
    }

    @Test func inShareAsInstalled() throws {
        try write("usr/bin/quipu")
        try write("usr/share/quipu/lessons/course.yml")
        #expect(try found("course.yml", program: "usr/bin/quipu") == real("usr/share/quipu/lessons/course.yml"))
    }

    @Test func throughLinksToTheProgramAndToItsFolder() throws {
        try write("opt/quipu/bin/quipu")
        try write("opt/quipu/share/quipu/lessons/course.yml")
        try write("home/bin/other")
        // A relative link to an absolute one, and a link to the folder above the program.
        try FileManager.default.createSymbolicLink(
            atPath: bench.path("home/quipu"), withDestinationPath: bench.path("opt/quipu/bin/quipu"))
        try FileManager.default.createSymbolicLink(
            atPath: bench.path("home/bin/quipu"), withDestinationPath: "../quipu")
        try FileManager.default.createSymbolicLink(atPath: bench.path("current"), withDestinationPath: "opt/quipu")
        let file = real("opt/quipu/share/quipu/lessons/course.yml")
        #expect(try found("course.yml", program: "home/bin/quipu") == file)
        #expect(try found("course.yml", program: "current/bin/quipu") == file)
    }

    @Test func whatIsMissingIsNamedWhereItWasLookedFor() throws {
        try write("usr/bin/quipu")
        let problem = try #require(throws: ProgramFileMissing.self) {
            try found("course.yml", program: "usr/bin/quipu", resource: "lessons")
        }
        #expect(
            problem.paths == [
                real("usr/bin/quipu_Lessons.resources/lessons/course.yml"), real("usr/share/quipu/lessons/course.yml"),
            ])
        for path in problem.paths { #expect("\(problem)".contains(path)) }
    }
}
