import { InvalidArgumentError, Option, type Command } from 'commander';
import { several } from '../../remote/collect.ts';
import { addServiceOptions, withService } from '../../remote/service.ts';
import type { EventOptions } from './print-events.ts';
import { quoted } from '../../process/errors.ts';

const NOTES = `
A position is the \`sequence\` of an event, or 0 for the oldest one that is kept. With --follow and without --since,
events are printed from now on; a connection that is lost is made again, and nothing is missed. --json prints NDJSON, an
event a line.`;

export function addEventsCommand(program: Command): void {
  const command = program
    .command('events')
    .description('Print what happens in a running service, or has happened, oldest first.')
    .option('--follow', 'Go on with what happens, until Ctrl-C.')
    .addOption(new Option('--since <position>', 'Begin after this position.').argParser(position))
    .option('--rollout <id>', 'Only events of this rollout and its jobs.')
    .option('--job <id>', 'Only events of this job.')
    .addOption(
      new Option(
        '--type <type>',
        'Only this type, such as job.ready, or all of a kind: rollout.*. May be given several times.',
      ).argParser(several),
    )
    .addOption(new Option('--limit <n>', 'Most events to print, and end then.').argParser(count))
    .action(print);
  addServiceOptions(command, [
    'readapt events --follow --type rollout.* --type job.failed',
    'readapt events --rollout rol_… --since 0 --json',
  ]).addHelpText('after', NOTES);
}

async function print(options: EventOptions): Promise<void> {
  const { followAll, listAll } = await import('./print-events.ts');
  await withService(options, (service) => (options.follow ? followAll(service, options) : listAll(service, options)), {
    following: options.follow === true,
  });
}

function position(text: string): string {
  if (/^\d{1,18}(-\d{1,18})?$/.test(text)) return text;
  throw new InvalidArgumentError(`expected the sequence of an event such as 839-2, or 0, found ${quoted(text)}.`);
}

function count(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`expected a number of at least 1, found ${quoted(text)}.`);
}
