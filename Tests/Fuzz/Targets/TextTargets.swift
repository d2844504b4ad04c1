import Lessons
import Recording
import Stepping
import Tensors

extension FuzzTarget {
    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    static let address = FuzzTarget("address", "an operation's address, as in kq-3[0:2, 1]", echoes: true) { bytes in
        let address = try TensorAddress(text(bytes))
        _ = try address.ranges(in: Shape(5, 3, 2))
    }

    static let query = FuzzTarget("query", "a query of a lesson", echoes: true) { bytes in _ = try Query(text(bytes)) }

    static let step = FuzzTarget("step", "a line for the stepper, as in watch rms > 3", echoes: true) { bytes in
        _ = try StepperCommand(text(bytes))
    }
}
