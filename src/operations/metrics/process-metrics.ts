import { collectDefaultMetrics, Counter, Registry } from 'prom-client';
import type { ArtifactStore } from '../../platform/artifacts/artifact-store.ts';
import type { Database } from '../../platform/database/database.ts';
import { poolUseOf, type PoolUse } from '../../platform/database/database-reads.ts';
import { registerReadGauge, single } from './gauges.ts';

/** Creates a Prometheus registry with the metrics of this process: memory, processor time and event loop. */
export function createProcessRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Registers metrics of this process's pool of PostgreSQL connections. */
export function registerPoolMetrics(registry: Registry, db: Database): void {
  const read = async (): Promise<PoolUse | null> => poolUseOf(db);
  registerReadGauge(registry, read, {
    name: 'readapt_database_connections',
    help: 'Number of connections of this process to PostgreSQL, by whether they are busy or idle.',
    labelNames: ['state'] as const,
    samples: (use) => (['busy', 'idle'] as const).map((state) => ({ labels: { state }, value: use[state] })),
  });
  registerReadGauge(registry, read, {
    name: 'readapt_database_connections_limit',
    help: 'Largest number of connections of this process to PostgreSQL.',
    samples: ({ limit }) => single(limit),
  });
  registerReadGauge(registry, read, {
    name: 'readapt_database_queries_waiting',
    help: 'Number of queries of this process that wait for a connection.',
    samples: ({ waiting }) => single(waiting),
  });
}

/**
 * Codes of the artifact store's errors that the metric counts separately. It counts all other file system errors
 * together, as `file_system`.
 */
const STORE_FAULTS = [
  'storage_full',
  'storage_read_only',
  'storage_away',
  'artifact_missing',
  'artifact_corrupt',
] as const;
const FILE_SYSTEM = 'file_system';
/** Codes of system errors which mean that the client has disconnected during an upload. */
const CLIENT_GONE = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

/**
 * Wraps an artifact store so that a metric counts its faults. Errors that callers cause, such as a broken upload, are
 * not counted.
 */
export function countStoreFaults(store: ArtifactStore, registry: Registry): ArtifactStore {
  const faults = new Counter({
    name: 'readapt_artifact_store_errors_total',
    help: 'Number of faults of the artifact store, by code.',
    labelNames: ['code'] as const,
    registers: [registry],
  });
  for (const code of [...STORE_FAULTS, FILE_SYSTEM]) faults.inc({ code }, 0);
  const counted = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      const code = faultOf(error);
      if (code !== null) faults.inc({ code });
      throw error;
    }
  };
  const counting = (inner: ArtifactStore): ArtifactStore => ({
    ...inner,
    putFile: (source, kind) => counted(inner.putFile(source, kind)),
    putFolder: (folder, kind) => counted(inner.putFolder(folder, kind)),
    localPath: (digest, options) => counted(inner.localPath(digest, options)),
    holding: (work) => inner.holding((held) => work(counting(held))),
    createReadStream: (digest) => counted(inner.createReadStream(digest)),
    tarArchive: (digest, options) => counted(inner.tarArchive(digest, options)),
    files: (digest, to) => counted(inner.files(digest, to)),
    verify: (digest) => counted(inner.verify(digest)),
    checkWritable: () => counted(inner.checkWritable()),
  });
  return counting(store);
}

function faultOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  const known = STORE_FAULTS.find((code) => code === error.code);
  if (known !== undefined) return known;
  return 'syscall' in error && !CLIENT_GONE.has(String(error.code)) ? FILE_SYSTEM : null;
}
