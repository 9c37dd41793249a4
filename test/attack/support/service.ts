import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  createAdapter,
  createApiKey,
  createBaseModel,
  createBaseModelVersion,
  createDataset,
  createTenant,
  type ReadaptClient,
} from '../../../openapi/clients/typescript/src/index.ts';
import { retryingClient } from '../../../cli/demo/register-fleet.ts';
import { compiledCommand } from '../../compiled/index.ts';

const COMMAND = compiledCommand();
const FIXTURE = path.resolve('test/fixtures/golden/broken/control');

/** Real API process on an embedded PostgreSQL, with everything a tenant needs for uploads. */
export interface AttackedService {
  readonly origin: string;
  /** Identifier of the process that answers requests. */
  readonly pid: number;
  readonly operatorKey: string;
  /** API key with the scopes `tenant:write` and `tenant:admin`. */
  readonly tenantKey: string;
  readonly tenantId: string;
  readonly tenant: ReadaptClient;
  readonly adapterId: string;
  /** Path for uploading versions of the adapter. */
  readonly versionsPath: string;
  /** Names of the files that uploads left in the store's temporary folder. */
  temporaries(): Promise<string[]>;
  stop(): Promise<void>;
}

/** Starts the service like `readapt serve`, without a worker. @param env additional settings */
export async function startAttackedService(env: Readonly<Record<string, string>> = {}): Promise<AttackedService> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'readapt-attack-'));
  const child = spawn(process.execPath, [COMMAND, 'serve', '--no-worker'], {
    env: {
      ...process.env,
      DATABASE_URL: '',
      REDIS_URL: '',
      READAPT_DATA_DIR: dataDir,
      READAPT_PORT: '0',
      READAPT_ALLOWED_ROOTS: FIXTURE,
      READAPT_LOG_LEVEL: process.env.READAPT_TEST_LOG_LEVEL ?? 'error',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stop = async () => {
    await ended(child);
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    const [, origin, keyFile] = await printed(child, /serves (\S+)[\s\S]*operator key written to ([^,]+),/);
    const operatorKey = (await readFile(keyFile!, 'utf8')).trim();
    const prepared = await prepare(origin!, operatorKey);
    return {
      origin: origin!,
      pid: child.pid!,
      operatorKey,
      ...prepared,
      temporaries: () => readdir(path.join(dataDir, 'artifacts', 'tmp')),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function prepare(origin: string, operatorKey: string) {
  const operator = retryingClient(origin, operatorKey);
  const { id: tenantId } = await createTenant({ client: operator, body: { name: 'mallory' } });
  const { key } = await createApiKey({
    client: operator,
    body: { name: 'attack', tenant_id: tenantId, scopes: ['tenant:write', 'tenant:admin'] },
  });
  const tenantKey = key!;
  await createBaseModel({ client: operator, body: { name: 'tiny' } });
  const first = { version: '1', path: path.join(FIXTURE, 'base') };
  await createBaseModelVersion({ client: operator, path: { model: 'tiny' }, body: first });
  const tenant = retryingClient(origin, tenantKey);
  const rows = ['training', 'search', 'gate'].map((split) => JSON.stringify({ prompt: 'p', completion: 'c', split }));
  const body = new Blob([rows.join('\n')]);
  const dataset = await createDataset({ client: tenant, query: { name: 'own' }, body });
  const adapter = await createAdapter({
    client: tenant,
    body: {
      name: 'own',
      base_model: 'tiny',
      dataset_id: dataset.id,
      metric: 'accuracy',
      gate: { kind: 'relative', margin: 0.01 },
    },
  });
  const versionsPath = `/v1/adapters/${adapter.id}/versions/upload?base_model_version=1`;
  return { tenantId, tenantKey, tenant, adapterId: adapter.id, versionsPath };
}

/** Waits until a process prints a line, and forwards its later standard error. */
function printed(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  let seen = '';
  child.stderr!.pipe(process.stderr);
  return new Promise((resolve, reject) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      const match = pattern.exec(seen);
      if (match !== null) resolve(match);
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the service ended with ${code} before ${pattern}:\n${seen}`)));
  });
}

/** Stops the process, and kills it if it does not react because an attack has succeeded. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  const kill = setTimeout(() => child.kill('SIGKILL'), 30_000);
  child.kill('SIGTERM');
  await exit;
  clearTimeout(kill);
}
