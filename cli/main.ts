import { Command } from 'commander';
import * as devices from './commands/devices.ts';
import * as demo from './commands/demo.ts';
import * as evaluate from './commands/eval.ts';
import * as graph from './commands/graph.ts';
import * as inspect from './commands/inspect.ts';
import * as migrate from './commands/migrate.ts';
import * as openapi from './commands/openapi.ts';
import * as rebase from './commands/rebase.ts';
import * as serve from './commands/serve.ts';
import * as train from './commands/train.ts';
import * as worker from './commands/worker.ts';
import { exitCodeOf, printError } from './errors.ts';

/**
 * One subcommand, one file in `commands/`. `register` only declares name, options and help, and must stay light: what
 * the command needs (tfjs, ONNX Runtime, the server) is imported within its action.
 */
export interface CommandModule {
  register(program: Command): void;
}

/** Every subcommand, in the order of `readapt --help`. */
const COMMANDS: readonly CommandModule[] = [
  demo,
  rebase,
  train,
  evaluate,
  inspect,
  graph,
  devices,
  serve,
  worker,
  migrate,
  openapi,
];

/** The whole command line, ready to parse; exits are thrown as CommanderError. */
export function createProgram(commands: readonly CommandModule[] = COMMANDS): Command {
  const program = new Command('readapt')
    .description("When the base model moves, every tenant's LoRA adapter moves with it.")
    .enablePositionalOptions()
    .showSuggestionAfterError();
  for (const command of commands) command.register(program);
  for (const command of [program, ...program.commands]) command.exitOverride();
  return program;
}

/**
 * Runs one command line.
 * @param args the arguments after `readapt`
 * @returns the exit code: 0 done, 1 failed, 2 usage or bad input, 130 or 143 interrupted
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const program = createProgram();
    // Commander's `help rebase` would leave out the options that `rebase --help` loads.
    const explained = args[0] === 'help' && program.commands.find((command) => command.name() === args[1]);
    await program.parseAsync(explained ? [explained.name(), '--help'] : args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    const exitCode = exitCodeOf(error);
    if (exitCode !== 0) printError(error, args.includes('--json'));
    return exitCode;
  }
}
