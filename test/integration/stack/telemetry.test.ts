import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FAMILY, FLEET, familyPath } from '../../../cli/demo/fleet.ts';
import { registerFleet } from '../../../cli/demo/register-fleet.ts';
import { createBaseModelVersion, isEndOfJob, listJobs } from '../../../openapi/clients/typescript/src/index.ts';
import { eventually } from '../../eventually.ts';
import { createFolderWithDatabase, processesOf, removeFolder, serve } from './readapt.ts';

let folder: string;

beforeEach(async () => {
  folder = await createFolderWithDatabase();
});
afterEach(() => removeFolder(folder));

/** Whether a process has loaded ONNX Runtime. */
async function hasOnnxRuntime(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/maps`, 'utf8')).includes('libonnxruntime');
}

test('no process leaves a record of its inferences, which ONNX Runtime would send', async () => {
  const home = path.join(folder, 'home');
  await mkdir(home);
  // ONNX Runtime records nothing if CI is set. Readapt's own cache does not matter here.
  const env = {
    HOME: home,
    XDG_CACHE_HOME: path.join(home, '.cache'),
    CI: undefined,
    READAPT_GRAPH_CACHE: 'off',
    READAPT_ALLOWED_ROOTS: FAMILY,
  };
  const server = await serve(folder, [], { env });
  const entry = {
    ...FLEET.find(({ adapter }) => adapter === 'feed-topics')!,
    trainRows: 100,
    gate: { kind: 'relative', margin: 0.1 } as const,
  };
  const fleet = await registerFleet({
    origin: server.url,
    operatorKey: server.operatorKey!,
    fleet: [entry],
    log: () => {},
  });
  const client = fleet.operator;
  const options = { search_evaluations: 2, search_rows: 16, max_steps: 4, evaluate_every: 2 };
  const body = { version: '2', path: familyPath('v2'), rollout: options };
  const { rollout } = await createBaseModelVersion({ client, path: { model: fleet.baseModelId }, body });
  const job = await eventually('the job has ended', async () => {
    const [found] = (await listJobs({ client, query: { rollout_id: rollout!.id } })).data;
    return found !== undefined && isEndOfJob(found.state) && found;
  });
  expect(job).toMatchObject({ state: 'ready', error: null });

  const processes = await processesOf(folder);
  const find = (what: string) => processes.find(({ command }) => command.includes(what))!.pid;
  const loaded = {
    api: await hasOnnxRuntime(server.child.pid!),
    worker: await hasOnnxRuntime(find('readapt.js worker')),
    training: await hasOnnxRuntime(find('training/process')),
  };
  expect(loaded).toEqual({ api: false, worker: true, training: true });
  server.child.kill('SIGTERM');
  await server.ended;
  expect(await readdir(home, { recursive: true })).toEqual([]);
});
