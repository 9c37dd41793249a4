import { engineName } from '../engine-name.ts';
import type { CommitPosition } from '../../events/index.ts';
import type { ChangedRow, ServedAdapter, ServedRow } from '../served-version.repository.ts';
import type { EngineFolder } from './engine-folder.ts';
import type { ServedMarker } from './served-files.ts';

/**
 * Kind of change to the serving folder, for metrics: a version was added, an alias was added or changed, an alias was
 * removed, or an old version was deleted.
 */
export type FolderAction = 'published' | 'aliased' | 'alias_removed' | 'collected';

export interface BasePublisherOptions {
  readonly folder: EngineFolder;
  /** Identifier of the base model version whose adapters are published. */
  readonly base: string;
  /** Time for which a version stays in the folder after it is no longer current, in milliseconds. */
  readonly graceMs: number;
  /** Reads the next changes after a position, in the order of commits. An empty list means that there are none. */
  readonly readChanges: (base: string, after: CommitPosition) => Promise<readonly ChangedRow[]>;
  /** Reads the adapters whose current version changed after a position, whether or not the change is readable yet. */
  readonly readUnread: (base: string, after: CommitPosition) => Promise<readonly ServedAdapter[]>;
  /**
   * Runs `work` with the folder of an artifact whose content was verified, and keeps the folder until `work` has ended.
   */
  readonly withFiles: (digest: string, work: (folder: string) => Promise<void>) => Promise<void>;
  /**
   * Called before each change of the folder.
   * @throws Error if another process may hold the lease on the folder by now, or if this process stops
   */
  readonly requireLease: () => void;
  readonly onAction: (action: FolderAction) => void;
  /**
   * Called when publishing an adapter fails. Of several failures of an adapter in a row, only the first is reported.
   */
  readonly onFailure: (error: unknown, row: Pick<ChangedRow, 'adapterId'>) => void;
}

const BEGINNING: CommitPosition = { transaction: 0n, sequence: 0n };

/** Delay before a failed publication is tried again, in milliseconds. */
const RETRY_MS = 30_000;

/** Keeps the folder of one base model version in line with the database. */
export class BasePublisher {
  readonly #options: BasePublisherOptions;
  #position = BEGINNING;
  #wasCompared = false;
  /** Alias in the folder, by the identifier of the served adapter. */
  readonly #aliases = new Map<string, string>();
  /** Time at which each version that is no longer current was retired, by engine name, in milliseconds since 1970. */
  readonly #retired = new Map<string, number>();
  readonly #failed = new Map<string, ChangedRow>();
  #triedAt = -Infinity;

  constructor(options: BasePublisherOptions) {
    this.#options = options;
  }

  /** Position in the order of commits up to which the publisher has read changes from the database. */
  get position(): CommitPosition {
    return this.#position;
  }

  /** Number of adapters that could not be published so far. */
  get failures(): number {
    return this.#failed.size;
  }

  /** Number of adapters that the folder serves. */
  get size(): number {
    return this.#aliases.size;
  }

  /** Forgets the state of the folder, so that the next call compares the whole folder with the database. */
  reset(): void {
    this.#position = BEGINNING;
    this.#wasCompared = false;
    for (const known of [this.#aliases, this.#retired, this.#failed]) known.clear();
  }

  /**
   * Applies all changes that can be read from the database to the folder, and removes versions that have not been
   * current for the grace time. The first call also compares the whole folder with the database. Later calls also retry
   * adapters that could not be published.
   *
   * @param hasChanged whether the database is known to have changed
   */
  async follow(hasChanged: boolean): Promise<void> {
    if (performance.now() - this.#triedAt >= RETRY_MS) {
      this.#triedAt = performance.now();
      for (const row of [...this.#failed.values()]) await this.#apply(row);
    }
    if (hasChanged || !this.#wasCompared) await this.#readOn();
    if (!this.#wasCompared) await this.#retireUnknown();
    this.#wasCompared = true;
    await this.#collect();
  }

  async #readOn(): Promise<void> {
    for (;;) {
      const rows = await this.#options.readChanges(this.#options.base, this.#position);
      for (const row of rows) await this.#apply(row);
      const last = rows.at(-1);
      if (last === undefined) return;
      this.#position = { transaction: last.transaction, sequence: last.sequence };
    }
  }

  async #apply(row: ChangedRow): Promise<void> {
    this.#options.requireLease();
    try {
      if (row.versionId === null) await this.#withdraw(row.adapterId);
      else await this.#publish(row);
      this.#failed.delete(row.adapterId);
    } catch (error) {
      if (!this.#failed.has(row.adapterId)) this.#options.onFailure(error, row);
      this.#failed.set(row.adapterId, row);
    }
  }

  async #publish(row: ServedRow): Promise<void> {
    const { folder, base, withFiles, onAction } = this.#options;
    const { tenant, adapter, number } = row;
    const [alias, name] = [engineName({ tenant, adapter }), engineName({ tenant, adapter, number })];
    const marker = markerOf(row);
    if (!isSame(await folder.marker(base, name), marker)) {
      await withFiles(row.digest, (source) => folder.put(base, name, { source, marker }));
      onAction('published');
    }
    await folder.bringBack(base, name);
    this.#retired.delete(name);
    const before = await folder.target(base, alias);
    if (before !== name) {
      await folder.point(base, alias, name);
      onAction('aliased');
    }
    this.#aliases.set(row.adapterId, alias);
    if (before !== null && before !== name) await this.#retire(before);
  }

  async #withdraw(adapterId: string): Promise<void> {
    const alias = this.#aliases.get(adapterId);
    if (alias === undefined) return;
    const name = await this.#options.folder.target(this.#options.base, alias);
    await this.#removeAlias(alias);
    this.#aliases.delete(adapterId);
    if (name !== null) await this.#retire(name);
  }

  /**
   * Marks the versions in the folder that are not current as retired: they were replaced while no process kept the
   * folder up to date.
   */
  async #retireUnknown(): Promise<void> {
    const { folder, base, requireLease, readUnread } = this.#options;
    const unread = await readUnread(base, this.#position);
    const { versions, aliases } = await folder.contents(base);
    // A version stays until the change that replaces it is readable.
    for (const row of unread) {
      const alias = engineName(row);
      const name = aliases.get(alias);
      if (name === undefined || (await folder.marker(base, name))?.adapter_id !== row.adapterId) continue;
      this.#aliases.set(row.adapterId, alias);
    }
    const kept = new Set(this.#aliases.values());
    // The previous version stays while the current one cannot be published.
    for (const row of this.#failed.values()) {
      if (row.versionId !== null) kept.add(engineName({ tenant: row.tenant, adapter: row.adapter }));
    }
    const targets = new Set<string>();
    for (const [alias, name] of aliases) {
      requireLease();
      if (kept.has(alias)) targets.add(name);
      else await this.#removeAlias(alias);
    }
    for (const name of versions) if (!targets.has(name)) await this.#retire(name);
  }

  async #removeAlias(alias: string): Promise<void> {
    await this.#options.folder.removeAlias(this.#options.base, alias);
    this.#options.onAction('alias_removed');
  }

  async #retire(name: string): Promise<void> {
    this.#retired.set(name, await this.#options.folder.retire(this.#options.base, name));
  }

  async #collect(): Promise<void> {
    const { folder, base, graceMs, requireLease, onAction } = this.#options;
    for (const [name, since] of this.#retired) {
      if (Date.now() - since < graceMs) continue;
      requireLease();
      await folder.remove(base, name);
      this.#retired.delete(name);
      onAction('collected');
    }
  }
}

function markerOf(row: ServedRow): ServedMarker {
  return {
    adapter_id: row.adapterId,
    adapter_version_id: row.versionId,
    digest: row.digest,
    serving_name: row.servingName,
    base_model_fingerprint: row.fingerprint,
  };
}

function isSame(present: ServedMarker | null, wanted: ServedMarker): boolean {
  const names = Object.keys(wanted) as (keyof ServedMarker)[];
  return present !== null && names.every((name) => present[name] === wanted[name]);
}
