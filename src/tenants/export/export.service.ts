import { readTar, writeTar, type ArtifactStore, type TarFile } from '../../platform/artifacts/index.ts';
import type { Page } from '../../platform/contract/pagination.ts';
import type { AdapterService } from '../../fleet/adapters/index.ts';
import type { DatasetService } from '../../fleet/datasets/index.ts';
import type { EventService } from '../../delivery/events/index.ts';
import type { JobService } from '../../fleet/jobs/index.ts';
import type { TenantService } from '../tenants/index.ts';

/** Number of rows that an export reads from a list at a time. */
const PAGE = 200;

/** Services that supply the API's lists. The export of a tenant's data reads from them. */
export interface ExportDependencies {
  readonly artifacts: ArtifactStore;
  readonly tenants: Pick<TenantService, 'get'>;
  readonly datasets: Pick<DatasetService, 'list'>;
  readonly adapters: Pick<AdapterService, 'list' | 'listVersions' | 'flipsOf'>;
  readonly jobs: Pick<JobService, 'list'>;
  readonly events: Pick<EventService, 'list'>;
  readonly page?: number;
}

export interface TenantExport {
  readonly filename: string;
  /**
   * Bytes of the tar archive. They are read from the database and the artifact store while the archive is being sent.
   */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export function createExportService(deps: ExportDependencies) {
  const { artifacts, page: limit = PAGE } = deps;

  async function* datasets(id: string): AsyncGenerator<TarFile> {
    for await (const dataset of each((cursor) => deps.datasets.list({ limit, cursor, tenant_id: id }, id))) {
      yield json(`datasets/${dataset.name}.json`, dataset);
      const bytes = await artifacts.createReadStream(dataset.digest);
      yield { path: `datasets/${dataset.name}.jsonl`, size: dataset.bytes, bytes };
    }
  }

  /**
   * Yields the files of a tenant's adapters: the API's description of each adapter and each version, the version's PEFT
   * folder as it is stored, and its negative flips, which are the gate rows that the old version has right and this one
   * wrong.
   */
  async function* adapters(id: string): AsyncGenerator<TarFile> {
    for await (const adapter of each((cursor) => deps.adapters.list({ limit, cursor, tenant_id: id }, id))) {
      yield json(`adapters/${adapter.name}/adapter.json`, adapter);
      for await (const version of each((cursor) => deps.adapters.listVersions(adapter.id, { limit, cursor }, id))) {
        const folder = `adapters/${adapter.name}/${version.number}`;
        yield json(`${folder}.json`, version);
        const flips = await deps.adapters.flipsOf(version.id);
        if (flips.length > 0) yield jsonl(`${folder}.negative-flips.jsonl`, flips);
        const archive = await artifacts.tarArchive(version.digest, { prefix: folder });
        for await (const entry of readTar(archive.read())) {
          if (entry.type !== 'Directory') yield entry;
        }
      }
    }
  }

  async function* jobs(id: string): AsyncGenerator<TarFile> {
    let number = 0;
    for await (const rows of pages((cursor) => deps.jobs.list({ limit, cursor, tenant_id: id }, id))) {
      yield jsonl(`jobs/${fileName(++number)}`, rows);
    }
  }

  async function* events(id: string): AsyncGenerator<TarFile> {
    let after: string | undefined;
    for (let number = 1; ; number++) {
      const { data, next_after: next } = await deps.events.list({ limit, after }, id);
      if (data.length === 0 || next === null) return;
      yield jsonl(`events/${fileName(number)}`, data);
      after = next;
    }
  }

  return {
    /**
     * Opens an export of all data of a tenant as a tar archive. The archive may lack changes that are made while it is
     * read. If something cannot be read, the archive breaks off.
     * @param scope the tenant to which the caller is confined, or null for the operator
     * @throws AppError 404
     */
    async open(id: string, scope: string | null): Promise<TenantExport> {
      const tenant = await deps.tenants.get(id, scope);
      async function* files(): AsyncGenerator<TarFile> {
        yield json('tenant.json', tenant);
        yield* datasets(id);
        yield* adapters(id);
        yield* jobs(id);
        yield* events(id);
      }
      return { filename: `${tenant.name}.tar`, chunks: writeTar(files()) };
    },
  };
}

async function* pages<T>(read: (cursor: string | undefined) => Promise<Page<T>>): AsyncGenerator<T[]> {
  for (let cursor: string | undefined; ;) {
    const { data, next_cursor: next } = await read(cursor);
    if (data.length > 0) yield data;
    if (next === null) return;
    cursor = next;
  }
}

async function* each<T>(read: (cursor: string | undefined) => Promise<Page<T>>): AsyncGenerator<T> {
  for await (const rows of pages(read)) yield* rows;
}

function fileName(number: number): string {
  return `${String(number).padStart(6, '0')}.jsonl`;
}

function json(path: string, value: unknown): TarFile {
  return textFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

function jsonl(path: string, rows: readonly unknown[]): TarFile {
  return textFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

function textFile(path: string, text: string): TarFile {
  const bytes = Buffer.from(text);
  return { path, size: bytes.length, bytes: [bytes] };
}
