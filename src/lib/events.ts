import { newId } from './ids.ts';
import type { Prisma, Queryable } from './database.ts';

export interface NewEvent {
  /** Whose event it is; null for the operator's. */
  tenantId: string | null;
  /** `<subject>.<what happened>`, such as `rollout.completed`. */
  type: string;
  subjectId: string;
  data: Prisma.InputJsonObject;
}

/** Records a domain event. Call it in the transaction that makes the change. */
export async function recordEvent(tx: Queryable, event: NewEvent): Promise<void> {
  await recordEvents(tx, [event]);
}

/** Records many domain events in one statement, in the given order. */
export async function recordEvents(tx: Queryable, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return;
  await tx.event.createMany({ data: events.map((event) => ({ id: newId('event'), ...event })) });
}
