import pg from 'pg';
import { Value } from 'typebox/value';
import type { Prisma } from '../../../src/platform/database/database.ts';
import { EVENT_CATALOG, type EventType, type NewEvent } from '../../../src/delivery/events/index.ts';

/** Event of a type unknown to this version, as an earlier or later version may record. */
export function unknownEvent(event: {
  tenantId: string | null;
  subjectId: string;
  data?: Prisma.InputJsonObject;
}): NewEvent {
  return { data: {}, ...event, type: 'test.happened' } as unknown as NewEvent;
}

/** Lists events in a database that do not match the catalog of events. Those of {@link unknownEvent} do not count. */
export async function undescribedEvents(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ type: string; data: object }>(
    `SELECT type, data FROM events WHERE type NOT LIKE 'test.%' ORDER BY seq DESC LIMIT 10000`,
  );
  await client.end();
  return rows.flatMap(({ type, data }) => {
    if (!(type in EVENT_CATALOG)) return [`${type} is not in the catalog`];
    // Tests sometimes use short names as identifiers.
    const [error] = [...Value.Errors(EVENT_CATALOG[type as EventType].data, data)].filter(
      ({ keyword }) => keyword !== 'pattern',
    );
    return error === undefined ? [] : [`${type} ${error.instancePath} ${error.message}: ${JSON.stringify(data)}`];
  });
}
