import type { Command } from 'commander';
import { identifier } from '../../remote/find.ts';
import { requireConfirmation, type YesOption } from '../../screen/ask.ts';
import { addServiceOptions, withService, type ServiceOptions } from '../../remote/service.ts';
import { printJson } from '../../screen/print.ts';

export function addRolloutRollbackCommand(rollout: Command): void {
  const command = rollout
    .command('rollback')
    .description(
      'Serve again what was served before a rollout that has ended. No work is started, and no version is deleted.',
    )
    .argument('<rollout>', 'Identifier of the rollout.')
    .option('--yes', 'Do not ask.')
    .action(rollBack);
  addServiceOptions(command, ['readapt rollout rollback rol_…', 'readapt rollout rollback rol_… --yes --json']);
}

async function rollBack(id: string, options: ServiceOptions & YesOption): Promise<void> {
  const { getRollout, rollBackRollout } = await import('../../remote/client.ts');
  const path = { id: identifier(id, 'rol', 'a rollout') };
  const done = await withService(options, async ({ client }) => {
    const { base_model_name: model, version, summary } = await getRollout({ client, path });
    await requireConfirmation(
      options,
      `roll back rollout ${id}: up to ${summary.ready} adapters are not served on ${model} ${version} any more, ` +
        'but as before it',
    );
    return rollBackRollout({ client, path });
  });
  if (options.json) printJson(done);
  else
    process.stdout.write(
      `${done.rolled_back} adapters are served as before, ${done.left_alone} were changed since and left alone\n`,
    );
}
