import { Command, type HelpConfiguration, type Option } from 'commander';
import { addLoginCommand } from './commands/access/login.ts';
import { addLogoutCommand } from './commands/access/logout.ts';
import { addProfilesCommands } from './commands/access/profiles.ts';
import { addAdaptersCommands } from './commands/adapters/adapters.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addBasesCommands } from './commands/bases/bases.ts';
import { addCompletionCommand } from './commands/completion/completion.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addDevicesCommand } from './commands/devices.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addEvalCommand } from './commands/eval.ts';
import { addExportCommands } from './commands/export/export.ts';
import { addEventsCommand } from './commands/fleet/events.ts';
import { addReplicasCommands } from './commands/fleet/replicas.ts';
import { addWorkersCommands } from './commands/fleet/workers.ts';
import { addGenerateCommand } from './commands/generate.ts';
import { addGraphCommand } from './commands/graph.ts';
import { addInspectCommand } from './commands/inspect.ts';
import { addJobsCommands } from './commands/jobs/jobs.ts';
import { addKeysCommands } from './commands/keys/keys.ts';
import { addMigrateCommand } from './commands/migrate.ts';
import { addOpenapiCommand } from './commands/openapi.ts';
import { addRebaseCommand } from './commands/rebase.ts';
import { addRolloutCommands } from './commands/rollout/rollout.ts';
import { addServeCommand } from './commands/serve.ts';
import { addTrainCommand } from './commands/train.ts';
import { addWorkerCommand } from './commands/worker.ts';
import { exitCodeOf, printError } from './process/errors.ts';

/**
 * Function that adds a subcommand to the program. Each subcommand has a file of its own in `commands/`. The function
 * only declares name, options and help and must stay light: whatever is slow to load (tfjs, ONNX Runtime, the server)
 * is imported within the action.
 */
type AddCommands = (program: Command) => void;

/**
 * Functions that add the subcommands, by the heading under which `readapt --help` lists them. Headings and subcommands
 * are in the order of that help.
 */
const COMMANDS: Readonly<Record<string, readonly AddCommands[]>> = {
  'Try it:': [addDemoCommand],
  'Adapters and models in files:': [
    addRebaseCommand,
    addTrainCommand,
    addEvalCommand,
    addGenerateCommand,
    addInspectCommand,
    addGraphCommand,
    addDevicesCommand,
  ],
  'Running the service:': [
    addServeCommand,
    addWorkerCommand,
    addMigrateCommand,
    addDoctorCommand,
    addKeysCommands,
    addAuditCommands,
    addOpenapiCommand,
  ],
  'Using a running service:': [
    addLoginCommand,
    addLogoutCommand,
    addProfilesCommands,
    addRolloutCommands,
    addJobsCommands,
    addAdaptersCommands,
    addBasesCommands,
    addWorkersCommands,
    addReplicasCommands,
    addEventsCommand,
    addExportCommands,
  ],
  'This command:': [addCompletionCommand],
};

/** Layout of `--help`: an option's description, then its choices and its default in one pair of parentheses. */
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

/**
 * Makes the parser of the whole command line. Where Commander would exit, the parser throws a CommanderError instead.
 */
function createProgram(): Command {
  const program = new Command('readapt')
    .description("When the base model moves, every tenant's LoRA adapter moves with it.")
    .helpOption('-h, --help', 'Show this help.')
    .commandsGroup('This command:')
    .helpCommand('help [command]', 'Show the help of a command.')
    .configureHelp(HELP)
    .enablePositionalOptions()
    .showSuggestionAfterError();
  for (const [heading, commands] of Object.entries(COMMANDS)) {
    program.commandsGroup(heading);
    for (const add of commands) add(program);
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
    // Commander's own `help rebase` would leave out the options that `rebase --help` loads, and does not know commands
    // of two words.
    const explained = args[0] === 'help' && args.length > 1;
    await program.parseAsync(explained ? [...args.slice(1), '--help'] : args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    const exitCode = exitCodeOf(error);
    if (exitCode !== 0) printError(error, args.includes('--json'));
    return exitCode;
  }
}
