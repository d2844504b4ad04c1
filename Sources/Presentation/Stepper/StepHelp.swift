/// The stepper's help: what the page shows, keys and commands, and the grammar of conditions.
public struct StepHelp: Report {
    let help: String

    /// - Parameter topic: `watch` for the conditions; anything else for all.
    public init(topic: String?) {
        let isWatch = ["watch", "rwatch", "expr"].contains(topic ?? "")
        help = isWatch ? Self.watch : Self.general + "\n\n" + Self.watch
    }

    public func page(_ style: Style) -> String {
        help.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix(" ") || line.isEmpty ? String(line) : style.bold(String(line))
        }.joined(separator: "\n")
    }

    private static let general = """
        What you see
          The model read the prompt in one pass; each generated token took another.
          A pass is a list of operations, and you stand at one of them: which one, what
          it is for, its formula, what it reads (in) and who reads it (out), what its
          numbers are like, what it cost, and a picture of its output. [brackets] in the
          drawing show where in the layer that is.

        Keys, and the same as commands
          n p          next, previous operation (also arrows); n 10: ten of them
          N P          next layer, start of this or the previous one (PgDn, PgUp)
          [ ]          the same operation one pass back, one on
          g G          the first, the last operation of the run
          b            back to where you were before the last jump (back)
          i u          inputs, users: a digit then goes there, as do inputs 0, users 0
          h  < >       heat: the picture alone; another plane (head, token); heat 3
          v            the numbers: print, print [0:8,4], print kq-3[:,:,0]
          w            why: how the largest number came about; why [12,4]; needs model
          / f          find TEXT in names, kinds and inputs; find alone: the next
          c C          run on, or back (rc), to the next stop
          :            type a command; up and down bring earlier ones
          ?  q         this help; quit. You come back to where you left.

        Commands
          goto NAME    or a number: goto kq_soft_max-3, goto Qcur-0#1, goto 131;
                       without its layer a name means the one in this layer
          break WHAT   stop at a name (ffn_out-*), layer 3, or kind SOFT_MAX;
                       break alone lists the stops, delete N or delete all removes them
          watch COND   stop where COND comes true
          rwatch COND  go back to where COND came true; again for further back
          sql QUERY    ask the trace, as in sql SELECT layer, ns FROM v_layer
        """

    private static let watch = """
        Conditions for watch and rwatch
          resid[1415] > 50           channel 1415 of the residual stream, last token
          resid[1415,3] > 50         the same at token 3 of the pass
          rms > 3, max(abs) > 100    of any operation's output, as recorded
          rms(resid) > 3             of the residual stream only; max(abs(resid)) too
          ffn_out[12,0] < -2         an element, in any layer; ffn_out-3[12,0] in 3
          top1                       the most probable token changed (logit lens: the
                                     residual stream read as if the network ended here)
          top1 == " Paris"           it is that token; both need the model
          name == "kq-3", kind == "MUL_MAT"
          also: rms min max mean std sum zeros nan inf n ns flops bytes layer seq pass
          and or not ( )  > < >= <= == !=  + - * /  abs(x)
          Where an operation lacks what is asked, a condition is neither true nor false.
          A condition that holds for a stretch comes true at the first operation of it.
        """
}
