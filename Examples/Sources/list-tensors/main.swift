import Foundation
import GGUF

// A model's architecture, and each of its tensors: name, type, shape, and where its bytes lie.
do {
    let model = try GGUFFile(path: CommandLine.arguments.last!)
    print(model.metadata["general.architecture"]?.string ?? "no architecture", model.parameterCount, "weights")
    for tensor in model.tensors {
        print(tensor.name, tensor.type, tensor.shape, "\(tensor.byteCount) bytes at \(tensor.fileOffset)")
    }
} catch {
    print(error)
    exit(1)
}
