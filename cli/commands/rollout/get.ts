import type { Command } from 'commander';
import { findRollout } from '../../remote/find.ts';
import { addServiceOptions, withService, type ServiceOptions } from '../../remote/service.ts';
import { createOutput } from '../../screen/output.ts';
import { painterOf } from '../../screen/paint.ts';
import { rolloutRows } from '../../reports/rollout-text.ts';

export function addRolloutGetCommand(rollout: Command): void {
  const command = rollout
    .command('get')
    .description('Show how a rollout stands, and what it waits for.')
    .argument('[rollout]', 'Identifier of the rollout. (default: the newest one)')
    .action(get);
  addServiceOptions(command, ['readapt rollout get', 'readapt rollout get rol_… --json']);
}

async function get(id: string | undefined, options: ServiceOptions): Promise<void> {
  const found = await withService(options, (service) => findRollout(service, id));
  createOutput(options).result(found, rolloutRows(found, painterOf(process.stdout)));
}
