/// An error that lies in what the user gave, a file or an argument, and whose description says what to do.
///
/// Programs print the description and end with status 1; any other error is a fault of the program.
public protocol InputProblem: Error, CustomStringConvertible {}
