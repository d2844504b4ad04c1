import Foundation
import TestSupport
import Testing

extension Workbench {
    /// How a run into `t.db` ends that is disturbed when some of its passes are written.
    ///
    /// It takes a second. On a busy machine it may be over before it is disturbed: then another is tried.
    ///
    /// - Parameter disturb: gets the run, and the path of its model, a copy of the embedded one.
    func outcome(disturbedBy disturb: (_ run: Run, _ model: String) throws -> Void) throws -> Outcome {
        let model = folder.path("big.gguf")
        for _ in 0..<20 {
            for path in [model, folder.path("t.db")] { try? FileManager.default.removeItem(atPath: path) }
            try FileManager.default.copyItem(atPath: EmbeddedModelTests.original, toPath: model)
            let run = try start([
                "trace", "big.gguf", "-p", "Mia has the ball", "-g", "110", "--ignore-eos", "-o", "t.db", "--threads",
                "1",
                "--kernels", "portable",
            ])
            let deadline = Date.now + 20
            // What is in the file itself, and not only in the log, has been committed.
            while !hasPasses, Date.now < deadline { usleep(1000) }
            try disturb(run, model)
            let outcome = try run.wait()
            if outcome.status != 0 { return outcome }
        }
        struct EveryRunWasOver: Error {}
        throw EveryRunWasOver()
    }

    private var hasPasses: Bool {
        let size = try? FileManager.default.attributesOfItem(atPath: folder.path("t.db"))[.size] as? Int
        return (size ?? 0) > 1_000_000
    }
}
