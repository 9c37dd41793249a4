import { Counter, Gauge, type Registry } from 'prom-client';
import type { FolderAction } from './base-publisher.ts';
import type { FolderMetrics } from './serving-folder.ts';

const ACTIONS: readonly FolderAction[] = ['published', 'aliased', 'alias_removed', 'collected'];

/**
 * Registers metrics of this process's work on the serving folder. They keep their values while another process holds
 * the folder.
 */
export function createFolderMetrics(registry: Registry): FolderMetrics {
  const actions = new Counter({
    name: 'readapt_serving_folder_changes_total',
    help: 'Number of changes of the serving folder, by what was done.',
    labelNames: ['action'] as const,
    registers: [registry],
  });
  const adapters = new Gauge({
    name: 'readapt_serving_folder_adapters',
    help: 'Number of current adapters in the serving folder, or that could not be put there.',
    labelNames: ['state'] as const,
    registers: [registry],
  });
  const followed = new Gauge({
    name: 'readapt_serving_folder_followed_timestamp_seconds',
    help: 'When this process last brought the serving folder up to date, in seconds since 1970; 0 if it has not.',
    registers: [registry],
  });
  for (const action of ACTIONS) actions.inc({ action }, 0);
  return {
    acted: (action) => actions.inc({ action }),
    followed: ({ served, failed }) => {
      adapters.set({ state: 'served' }, served);
      adapters.set({ state: 'failed' }, failed);
      followed.setToCurrentTime();
    },
  };
}
