import { expect, it } from 'vitest';
import type { TrainingMessage } from '../../../workers/training/protocol.ts';
import { RequestServer } from '../../../workers/training/request-server.ts';
import type { BaseCache } from '../../../core/engine/base-cache.ts';

it('preloads bases in order, and does not report those that cannot be loaded', async () => {
  const asked: string[] = [];
  const sent: TrainingMessage[] = [];
  const load = async (folder: string): Promise<void> => {
    asked.push(folder);
    if (folder === '/gone') throw new Error('folder does not exist');
  };
  const server = new RequestServer({ load } as unknown as BaseCache, (message) => sent.push(message));
  await server.receive({ type: 'preload', bases: ['/gone', '/v2', '/v1'] });
  expect(asked).toEqual(['/gone', '/v2', '/v1']);
  expect(sent).toEqual([]);
});
