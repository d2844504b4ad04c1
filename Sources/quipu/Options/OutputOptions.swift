import ArgumentParser
import Foundation
import Presentation

/// How results are printed; every command has these.
struct OutputOptions: ParsableArguments {
    enum Color: String, ExpressibleByArgument, CaseIterable {
        case auto, always, never
    }

    @Flag(help: "Print one JSON document instead of a page for people.")
    var json = false

    @Option(help: "Colours on a terminal (auto), always, or never; auto respects NO_COLOR.")
    var color = Color.auto

    var isColored: Bool {
        let allowed = (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty
        return color == .always || (color == .auto && Terminal.isOutputTerminal && allowed)
    }

    var style: Style {
        Style(isColored: isColored, width: Terminal.width)
    }

    func print(_ report: some Report) throws {
        Terminal.write((json ? try JSONOutput.text(report) : style.shown(report.page(style))) + "\n")
    }
}
