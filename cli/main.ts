import { Command, type HelpConfiguration, type Option } from 'commander';
import * as login from './commands/access/login.ts';
import * as logout from './commands/access/logout.ts';
import * as profiles from './commands/access/profiles.ts';
import * as adapters from './commands/adapters/adapters.ts';
import * as audit from './commands/audit.ts';
import * as bases from './commands/bases/bases.ts';
import * as completion from './commands/completion/completion.ts';
import * as demo from './commands/demo.ts';
import * as devices from './commands/devices.ts';
import * as doctor from './commands/doctor.ts';
import * as evaluate from './commands/eval.ts';
import * as exporting from './commands/export/export.ts';
import * as events from './commands/fleet/events.ts';
import * as replicas from './commands/fleet/replicas.ts';
import * as workers from './commands/fleet/workers.ts';
import * as generate from './commands/generate.ts';
import * as graph from './commands/graph.ts';
import * as inspect from './commands/inspect.ts';
import * as jobs from './commands/jobs/jobs.ts';
import * as keys from './commands/keys/keys.ts';
import * as migrate from './commands/migrate.ts';
import * as openapi from './commands/openapi.ts';
import * as rebase from './commands/rebase.ts';
import * as rollout from './commands/rollout/rollout.ts';
import * as serve from './commands/serve.ts';
import * as train from './commands/train.ts';
import * as worker from './commands/worker.ts';
import { exitCodeOf, printError } from './process/errors.ts';

/**
 * A subcommand, which has a file of its own in `commands/`. `register` only declares name, options and help and must
 * stay light: whatever is slow to load (tfjs, ONNX Runtime, the server) is imported within the action.
 */
interface CommandModule {
  register(program: Command): void;
}

/** Every subcommand, in the order of `readapt --help`, under its heading there. */
const COMMANDS: Readonly<Record<string, readonly CommandModule[]>> = {
  'Try it:': [demo],
  'Adapters and models in files:': [rebase, train, evaluate, generate, inspect, graph, devices],
  'Running the service:': [serve, worker, migrate, doctor, keys, audit, openapi],
  'Using a running service:': [
    login,
    logout,
    profiles,
    rollout,
    jobs,
    adapters,
    bases,
    workers,
    replicas,
    events,
    exporting,
  ],
  'This command:': [completion],
};

/** The layout of `--help`: an option's description, then its choices and its default in one pair of parentheses. */
export const HELP: HelpConfiguration = {
  optionDescription({ description, argChoices, defaultValue, defaultValueDescription }: Option): string {
    const standard: unknown = defaultValueDescription ?? defaultValue;
    const details = [
      ...(argChoices ? [`choices: ${argChoices.join(', ')}`] : []),
      ...(standard === undefined ? [] : [`default: ${String(standard)}`]),
    ];
    return details.length === 0 ? description : `${description} (${details.join('; ')})`;
  },
};

/** Makes the parser of the whole command line. It throws a CommanderError where it would exit. */
function createProgram(): Command {
  const program = new Command('readapt')
    .description("When the base model moves, every tenant's LoRA adapter moves with it.")
    .helpOption('-h, --help', 'Show this help.')
    .commandsGroup('This command:')
    .helpCommand('help [command]', 'Show the help of a command.')
    .configureHelp(HELP)
    .enablePositionalOptions()
    .showSuggestionAfterError();
  for (const [heading, modules] of Object.entries(COMMANDS)) {
    program.commandsGroup(heading);
    for (const command of modules) command.register(program);
  }
  for (const command of [program, ...program.commands.flatMap((each) => [each, ...each.commands])]) {
    command.exitOverride();
  }
  return program;
}

/**
 * Runs one command line.
 * @param args the arguments after `readapt`
 * @returns the exit code, see {@link exitCodeOf}
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const program = createProgram();
    // Commander's `help rebase` would leave out the options that `rebase --help` loads, and know no commands of two
    // words.
    const explained = args[0] === 'help' && args.length > 1;
    await program.parseAsync(explained ? [...args.slice(1), '--help'] : args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    const exitCode = exitCodeOf(error);
    if (exitCode !== 0) printError(error, args.includes('--json'));
    return exitCode;
  }
}
