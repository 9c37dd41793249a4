import { items, listCurrentVersions, type ReadaptClient, type ServedVersion } from '../../remote/client.ts';

/** Largest number of entries that the service returns in one page. */
const PAGE = 200;

/**
 * Longest pause between two reads of changes, in milliseconds. After a longer pause, the whole list is read again,
 * because the service may have purged its record of removals.
 */
const LONGEST_GAP_MS = 3_600_000;

/** Adapter versions to serve on one base model version, as last read from the service. */
export interface ServedVersions {
  readonly versions: () => ServedVersion[];
  /**
   * Reads the changes since the last call, or the whole list at the first call.
   * @returns whether any version was added, removed or replaced
   */
  read(signal?: AbortSignal): Promise<boolean>;
}

/**
 * Follows the adapter versions that are served on a base model version. The first read takes the whole list, because
 * the service lists a change only after all older transactions of its database have ended. Later reads ask only for
 * changes, of which an idle fleet has none.
 */
export function createServedVersions(client: ReadaptClient, baseModelVersionId: string): ServedVersions {
  const served = new Map<string, ServedVersion>();
  let position = '0';
  let readAt = -Infinity;

  /** Reads the whole list, and starts to follow changes from the beginning. */
  async function readList(signal: AbortSignal | undefined): Promise<void> {
    served.clear();
    position = '0';
    const list = { client, path: { id: baseModelVersionId }, query: { limit: PAGE } };
    for await (const version of items(listCurrentVersions, { ...list, ...(signal !== undefined && { signal }) })) {
      served.set(version.adapter_id, version);
    }
  }

  /**
   * Reads one page of the changes since the last read.
   * @returns the number of adapters that have changed
   */
  async function readPage(signal: AbortSignal | undefined): Promise<number> {
    const {
      data,
      removed,
      next_changed_after: next,
    } = await listCurrentVersions({
      client,
      path: { id: baseModelVersionId },
      query: { changed_after: position, limit: PAGE },
      ...(signal !== undefined && { signal }),
    });
    for (const version of data) served.set(version.adapter_id, version);
    for (const adapter of removed) served.delete(adapter);
    position = next ?? position;
    return data.length + removed.length;
  }

  return {
    versions: () => [...served.values()],
    async read(signal) {
      const now = Date.now();
      if (now - readAt > LONGEST_GAP_MS) {
        await readList(signal);
        readAt = now;
        return true;
      }
      readAt = now;
      let changes = 0;
      let ofPage = PAGE;
      while (ofPage === PAGE) changes += ofPage = await readPage(signal);
      return changes > 0;
    },
  };
}
