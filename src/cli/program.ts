import { Command, type OptionValues } from "commander";
import { packageVersion } from "../package-version.js";
import type { CommandContext } from "./context.js";
import { printableLines } from "./failure.js";
import { EXIT_CODES, examples } from "./help.js";

/** A module in commands/. */
export interface CommandModule {
  /** Adds description, arguments, options and examples. */
  configure(command: Command): void;
  /**
   * Carries the command out.
   *
   * @param args positional arguments as given; optional ones may lack
   * @returns the exit code
   */
  run(args: readonly string[], options: OptionValues, context: CommandContext): Promise<number>;
}

interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** A command is loaded when it is named, so that the others start without what it needs. */
  readonly load: () => Promise<CommandModule>;
}

/** Every command, in the order of the help. */
const COMMANDS: readonly CommandEntry[] = [
  {
    name: "calibrate",
    summary: "find the fewest layers that keep the quality, prove it, write them",
    load: () => import("./commands/calibrate.js"),
  },
  {
    name: "analyze",
    summary: "what each layer of an adapter does",
    load: () => import("./commands/analyze.js"),
  },
  {
    name: "evaluate",
    summary: "compare base, full adapter and candidates on samples",
    load: () => import("./commands/evaluate.js"),
  },
  {
    name: "generate",
    summary: "let base, adapter and candidates write answers",
    load: () => import("./commands/generate.js"),
  },
  {
    name: "report",
    summary: "show results again: as a page, as charts, compared",
    load: () => import("./commands/report.js"),
  },
  { name: "trim", summary: "write an adapter that keeps only some layers", load: () => import("./commands/trim.js") },
  {
    name: "inspect",
    summary: "show what is in a GGUF file, or what differs between two",
    load: () => import("./commands/inspect.js"),
  },
  {
    name: "verify",
    summary: "judge a recipe again, for CI: is the cut still good",
    load: () => import("./commands/verify.js"),
  },
  { name: "doctor", summary: "check this machine and your files", load: () => import("./commands/doctor.js") },
];

const EXAMPLES = examples(
  ["calibrate base.gguf adapter.gguf samples.jsonl -o small.gguf", "Find the boundary and write the smaller adapter"],
  ["doctor base.gguf adapter.gguf samples.jsonl", "Would these work together"],
  ["inspect adapter.gguf", "Which layers does an adapter change"],
  ["trim adapter.gguf --keep 0-17 -o small.gguf", "Keep the lower 18 layers"],
);

/**
 * Parses the command line and runs the command it names.
 *
 * @returns the command's exit code
 * @throws CommanderError, its message written already, for a wrong command line and after --help and --version
 */
export async function runProgram(argv: readonly string[], context: CommandContext): Promise<number> {
  let exitCode = 0;
  const program = createProgram(context);
  program.hook("preSubcommand", async (_, command) => {
    const entry = COMMANDS.find(({ name }) => name === command.name());
    if (entry === undefined) return;
    const module = await entry.load();
    module.configure(command);
    command.action(async () => {
      exitCode = await module.run(command.args, command.opts(), context);
    });
  });
  await program.parseAsync(helpAsOption(argv), { from: "user" });
  return exitCode;
}

function createProgram({ stdout, stderr, style }: CommandContext): Command {
  const program = new Command("lora-boundary")
    .description("Find how many layers of a LoRA adapter are worth keeping, prove it on your own data, and write them.")
    .version(packageVersion, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help; after a command, of that command")
    .option("--no-color", "no colours (also: NO_COLOR in the environment)")
    .option("--debug", "show stacks and causes of errors")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: stdout,
      writeErr: stderr,
      outputError: (text) => {
        stderr(printableLines(text));
      },
      getOutHelpWidth: () => style.width,
      getErrHelpWidth: () => style.width,
      getOutHasColors: () => style.color ?? false,
      getErrHasColors: () => false,
    })
    .configureHelp({
      showGlobalOptions: true,
      subcommandTerm: (command) => command.name(),
      styleTitle: (title) => `\u001b[1m${title}\u001b[0m`,
    })
    .showHelpAfterError("Help: lora-boundary --help")
    .addHelpText("after", EXAMPLES)
    .addHelpText("afterAll", EXIT_CODES);
  for (const { name, summary } of COMMANDS) {
    program.command(name).summary(summary).showHelpAfterError(`Help: lora-boundary ${name} --help`);
  }
  return program;
}

/** `help trim` is `trim --help`: the parser's own help command would not wait until the command is loaded. */
function helpAsOption(argv: readonly string[]): readonly string[] {
  const [first, ...rest] = argv;
  return first === "help" ? [...rest, "--help"] : argv;
}
