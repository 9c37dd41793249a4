import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Rollout } from '../../remote/client.ts';
import { UsageError, quoted } from '../../process/errors.ts';
import { identifier } from '../../remote/find.ts';
import { addServiceOptions, withService, type Service, type ServiceOptions } from '../../remote/service.ts';
import { note, printJson } from '../../screen/print.ts';
import { requireConfirmation, type YesOption } from '../../screen/ask.ts';
import { addRolloutRollbackCommand } from './rollback.ts';

interface ApproveOptions extends ServiceOptions {
  readonly wave?: number;
}

/** Adds the subcommands `pause`, `resume`, `cancel`, `approve` and `rollback` to `readapt rollout`. */
export function addRolloutSteeringCommands(rollout: Command): void {
  const pause = rollout
    .command('pause')
    .description('Stop a rollout and its jobs. They keep what they have done, and go on from there when it is resumed.')
    .argument('<rollout>', 'Identifier of the rollout.')
    .action((id: string, options: ServiceOptions) => change(options, (service) => pauseIt(service, id)));
  addServiceOptions(pause, ['readapt rollout pause rol_…']);
  const resume = rollout
    .command('resume')
    .description('Let a paused rollout go on, also one that its own policy has paused.')
    .argument('<rollout>', 'Identifier of the rollout.')
    .action((id: string, options: ServiceOptions) => change(options, (service) => resumeIt(service, id)));
  addServiceOptions(resume, ['readapt rollout resume rol_…']);
  addCancel(rollout);
  addApprove(rollout);
  addRolloutRollbackCommand(rollout);
}

function addCancel(rollout: Command): void {
  const command = rollout
    .command('cancel')
    .description('End a rollout with all its jobs. Versions that were published stay; `rollback` takes them back.')
    .argument('<rollout>', 'Identifier of the rollout.')
    .option('--yes', 'Do not ask.')
    .action(cancel);
  addServiceOptions(command, ['readapt rollout cancel rol_…', 'readapt rollout cancel rol_… --yes --json']);
}

function addApprove(rollout: Command): void {
  const command = rollout
    .command('approve')
    .description('Release the wave of a rollout that waits for a person.')
    .argument('<rollout>', 'Identifier of the rollout.')
    .addOption(
      new Option('--wave <n>', 'Number of the wave that you mean. (default: the one that waits)').argParser(waveNumber),
    )
    .action(approve);
  addServiceOptions(command, ['readapt rollout approve rol_…', 'readapt rollout approve rol_… --wave 2']);
}

async function pauseIt({ client }: Service, id: string): Promise<Rollout> {
  const { pauseRollout } = await import('../../remote/client.ts');
  return pauseRollout({ client, path: { id: identifier(id, 'rol', 'a rollout') } });
}

async function resumeIt({ client }: Service, id: string): Promise<Rollout> {
  const { resumeRollout } = await import('../../remote/client.ts');
  return resumeRollout({ client, path: { id: identifier(id, 'rol', 'a rollout') } });
}

async function cancel(id: string, options: ServiceOptions & YesOption): Promise<void> {
  const { cancelRollout, getRollout } = await import('../../remote/client.ts');
  const path = { id: identifier(id, 'rol', 'a rollout') };
  await change(options, async ({ client }) => {
    const { base_model_name: model, version, jobs, summary } = await getRollout({ client, path });
    const unfinished = Object.values(jobs).reduce((sum, count) => sum + count, 0) - ended(summary);
    await requireConfirmation(
      options,
      `cancel rollout ${id} to ${model} ${version}: ${unfinished} of ${summary.adapters} adapters are not ` +
        'carried over, and what is published stays',
    );
    return cancelRollout({ client, path });
  });
}

function ended({ ready, not_ready, failed, cancelled }: Rollout['summary']): number {
  return ready + not_ready + failed + cancelled;
}

async function approve(id: string, options: ApproveOptions): Promise<void> {
  const { approveRollout, getRollout } = await import('../../remote/client.ts');
  const path = { id: identifier(id, 'rol', 'a rollout') };
  await change(options, async ({ client }) => {
    const wave = options.wave ?? waiting(await getRollout({ client, path }));
    const rollout = await approveRollout({ client, path, body: { wave } });
    if (!options.json) note(`wave ${wave} is released`);
    return rollout;
  });
}

function waiting({ id, state, waves }: Rollout): number {
  if (waves?.awaiting_approval === true) return waves.released + 1;
  const how = waves === null ? 'it has no waves' : `${waves.released} of ${waves.total} waves are released`;
  throw new UsageError(
    `no wave of rollout ${id} waits for an approval: it is ${state}, and ${how}`,
    'wave_not_waiting',
  );
}

/** Changes a rollout by a request, and prints its new state. */
async function change(options: ServiceOptions, make: (service: Service) => Promise<Rollout>): Promise<void> {
  const rollout = await withService(options, make);
  if (options.json) printJson(rollout);
  else process.stdout.write(`rollout ${rollout.id} is ${rollout.state}\n`);
}

function waveNumber(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text) && Number(text) >= 2) return Number(text);
  throw new InvalidArgumentError(`expected the number of a wave after the first, found ${quoted(text)}.`);
}
