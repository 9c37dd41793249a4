import type { Command } from 'commander';
import { findRollout } from '../../remote/find.ts';
import { addServiceOptions, withService } from '../../remote/service.ts';
import type { WatchOptions } from '../../watch/watch-rollout.ts';

const EXIT_CODES = `
Exit codes: 0 all adapters are ready; 5 some are not, or the rollout has failed or was cancelled; 6 it waits for a
person (with --until-waiting); 130 you have stopped watching with Ctrl-C, which changes nothing of the rollout. --json
prints NDJSON: a line {"rollout": …} or {"job": …} for each change.`;

export function addRolloutWatchCommand(rollout: Command): void {
  const command = rollout
    .command('watch')
    .description('Show a rollout and its jobs until it has ended. Ctrl-C ends the watching, and not the rollout.')
    .argument('[rollout]', 'Identifier of the rollout. (default: the newest one)')
    .option('--until-waiting', 'End also when the rollout is paused, or a wave waits for an approval.')
    .action(watch);
  addServiceOptions(command, ['readapt rollout watch', 'readapt rollout watch rol_… --until-waiting']).addHelpText(
    'after',
    EXIT_CODES,
  );
}

async function watch(id: string | undefined, options: WatchOptions): Promise<void> {
  const { watchRollout } = await import('../../watch/watch-rollout.ts');
  await withService(options, async (service) => watchRollout(service, (await findRollout(service, id)).id, options), {
    following: true,
  });
}
