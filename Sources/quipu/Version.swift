extension Quipu {
    /// The one place for the version. `quipu --version` prints it, traces record it (`run.engine_version`), and whatever
    /// is made of the program asks the program. docs/releasing.md says when it changes.
    static let version = "0.2.0"
}
