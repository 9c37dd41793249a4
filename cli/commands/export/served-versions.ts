import { items, listCurrentVersions, type ReadaptClient, type ServedVersion } from '../../remote/client.ts';

/** Largest page that the service gives. */
const PAGE = 200;

/** What was away for so long reads everything again, because the service names no more what it has collected since. */
const LONGEST_GAP_MS = 3_600_000;

/** What is to be served on a base model version, as it was read last. */
export interface ServedVersions {
  readonly versions: () => ServedVersion[];
  /** Reads what has changed. The first time, that is all. @returns whether anything has */
  read(signal?: AbortSignal): Promise<boolean>;
}

/**
 * Follows a base model version by the list's changes, of which a fleet that rests has none. Changes leave out for a moment what was
 * changed while an older transaction runs, so the first answer is the list as it is.
 */
export function createServedVersions(client: ReadaptClient, baseModelVersionId: string): ServedVersions {
  const served = new Map<string, ServedVersion>();
  let position = '0';
  let readAt = -Infinity;

  /** Reads everything, after which changes are followed from the beginning. */
  async function readList(signal: AbortSignal | undefined): Promise<void> {
    served.clear();
    position = '0';
    const list = { client, path: { id: baseModelVersionId }, query: { limit: PAGE } };
    for await (const version of items(listCurrentVersions, { ...list, ...(signal !== undefined && { signal }) })) {
      served.set(version.adapter_id, version);
    }
  }

  /** @returns how many adapters have changed, at most a page */
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
