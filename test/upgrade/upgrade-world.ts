import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { retryingClient } from '../../cli/demo/register-fleet.ts';
import { createBaseModelVersion, getRollout, listJobs } from '../../openapi/clients/typescript/src/index.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/platform/embedded/index.ts';
import { createDatabase, type Database } from '../../src/platform/database/database.ts';
import { eventually } from '../eventually.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../unit/training/support/tiny-task.ts';
import { Processes, type Process } from './processes.ts';
import { registerTinyAdapter } from './tiny-adapter.ts';

/** One database, queue and artifact store, on which processes of two versions run. */
export class UpgradeWorld {
  readonly processes = new Processes();
  readonly family: TinyFamily;
  readonly postgres: EmbeddedPostgres;
  readonly db: Database;
  readonly #folder: string;
  #operatorKey = '';
  #baseModelId = '';

  private constructor(folder: string, family: TinyFamily, postgres: EmbeddedPostgres) {
    this.#folder = folder;
    this.family = family;
    this.postgres = postgres;
    this.db = createDatabase(postgres.url);
  }

  static async create(): Promise<UpgradeWorld> {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-upgrade-'));
    // The user of PostgreSQL has to get through it.
    await chmod(folder, 0o755);
    const family = await createTinyFamily();
    const postgres = await startEmbeddedPostgres(path.join(folder, 'database'), { durable: false });
    return new UpgradeWorld(folder, family, postgres);
  }

  async remove(): Promise<void> {
    await this.processes.killAll();
    await this.db.$disconnect();
    await this.postgres.stop();
    await removeTinyFamily(this.family);
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Starts a command of `readapt`, given by the path of a version's executable. */
  start(readapt: string, ...args: string[]): Process {
    return this.processes.start(readapt, args, {
      ...process.env,
      DATABASE_URL: this.postgres.url,
      REDIS_URL: '',
      READAPT_DATA_DIR: path.join(this.#folder, 'data'),
      READAPT_ALLOWED_ROOTS: [this.family.folder, this.family.oldBase].join(path.delimiter),
      READAPT_PORT: '0',
      READAPT_LOG_LEVEL: 'info',
      READAPT_GRAPH_CACHE: path.join(this.#folder, 'graphs'),
    });
  }

  startApi(readapt: string): Process {
    return this.start(readapt, 'serve', '--no-worker');
  }

  async startWorker(readapt: string): Promise<Process> {
    const started = this.start(readapt, 'worker');
    await started.printed(/worker started/);
    return started;
  }

  /** Registers a base model and an adapter at the first API of the service, which has printed the operator's key. */
  async registerFleet(api: Process): Promise<void> {
    const origin = await addressOf(api);
    const [, key, file] = await api.printed(/operator key, shown this once: (\S+)|operator key written to ([^,]+),/);
    this.#operatorKey = key ?? (await readFile(file!, 'utf8')).trim();
    this.#baseModelId = await registerTinyAdapter(retryingClient(origin, this.#operatorKey), this.family);
  }

  /** Registers a base model version by an API, waits until its rollout is completed, and checks its one publication. */
  async roll(api: Process, version: string, base: 'oldBase' | 'newBase'): Promise<void> {
    const client = retryingClient(await addressOf(api), this.#operatorKey);
    const body = { version, path: this.family[base], rollout: {} };
    const { rollout } = await createBaseModelVersion({ client, path: { model: this.#baseModelId }, body });
    const state = () => getRollout({ client, path: { id: rollout!.id } });
    await eventually(`the rollout to version ${version} is completed`, async () =>
      ['completed', 'failed'].includes((await state()).state),
    ).catch((error: unknown) => {
      throw new Error(this.processes.tails(), { cause: error });
    });
    const { data } = await listJobs({ client, query: { rollout_id: rollout!.id } });
    expect(data).toHaveLength(1);
    expect(data[0]).toMatchObject({ error: null, state: 'ready' });
    await this.#checkPublication(data[0]!.id);
  }

  /** Expects one version of the job, whichever processes have worked on it, which is current on its base. */
  async #checkPublication(jobId: string): Promise<void> {
    const published = await this.db.adapterVersion.findMany({ where: { jobId } });
    expect(published).toHaveLength(1);
    const [{ id: adapterVersionId, adapterId, baseModelVersionId }] = published as [(typeof published)[number]];
    const key = { adapterId_baseModelVersionId: { adapterId, baseModelVersionId } };
    expect(await this.db.currentVersion.findUnique({ where: key })).toMatchObject({ adapterVersionId });
  }
}

async function addressOf(api: Process): Promise<string> {
  return (await api.printed(/readapt serves (\S+)/))[1]!;
}
