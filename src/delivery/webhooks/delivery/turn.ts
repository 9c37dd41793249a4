import { SETTINGS } from '../../../platform/config/settings.ts';
import type { Database } from '../../../platform/database/database.ts';
import type { Logger } from '../../../lib/logger.ts';
import type { Post, SendResult } from '../../../platform/outgoing/post.ts';
import { signedHeaders } from '../../../platform/outgoing/sign.ts';
import type { SecretBox } from '../../../platform/config/secret-box.ts';
import type { Lease } from '../../../lib/claim-loop.ts';
import { jitter } from '../../../lib/jitter.ts';
import { eventsAfter, formatPosition, isBefore, type CommitPosition, type EventRow } from '../../events/index.ts';
import { toMessage, wants } from '../message.ts';
import type { DeliveryMetrics } from './delivery-metrics.ts';
import { deliveryRepository as repository, MANY_PENDING, type ClaimedEndpoint } from './delivery.repository.ts';
import type { RetrySchedule } from './schedule.ts';

export interface DeliveryTurnOptions {
  readonly db: Database;
  readonly box: SecretBox;
  readonly post: Post;
  readonly schedule: RetrySchedule;
  readonly logger: Logger;
  readonly metrics: DeliveryMetrics;
}

/** Longest time for which a process sends to one endpoint before other endpoints have their turn, in milliseconds. */
const TURN_MS = 5000;
/** Pause of an endpoint whose secrets this process cannot decrypt, in milliseconds, so that other processes can try. */
const UNREADABLE_MS = 60_000;
/** Longest delay of the next attempt that a `Retry-After` can cause, in milliseconds. */
const MAX_RETRY_AFTER_MS = 86_400_000;
const PAGE = 100;

/** An event that is to be sent to an endpoint. */
interface Work {
  readonly event: EventRow;
  /**
   * Position in the order of events that the endpoint reaches by this event; null for a retry or a replay, which leaves
   * the position as it is.
   */
  readonly position: CommitPosition | null;
}

/** Sends the pending events of one endpoint one by one, until none is left, one fails, or the turn is over. */
export async function runDeliveryTurn(
  options: DeliveryTurnOptions,
  endpoint: ClaimedEndpoint,
  { lease, signal, isStopping }: { lease: Lease; signal: AbortSignal; isStopping: () => boolean },
): Promise<void> {
  const { db, logger, box } = options;
  const secrets = (await repository.secrets(db, endpoint.id)).map((sealed) => box.open(sealed, endpoint.id));
  const readable = secrets.filter((secret) => secret !== null);
  if (readable.length === 0) {
    logger.error(
      { endpoint: endpoint.id, setting: SETTINGS.secretKeys.variable },
      'no secret of a webhook endpoint can be decrypted: add the key that it was stored with to the setting, ' +
        'behind the present one',
    );
    await repository.release(db, endpoint.id, lease, UNREADABLE_MS);
    return;
  }
  const queue = createQueue(db, endpoint, lease);
  const end = performance.now() + TURN_MS;
  let { failures } = endpoint;
  while (performance.now() < end && !isStopping()) {
    const work = await queue.next();
    if (work === null) break;
    const result = await send(options, endpoint, { work, secrets: readable, signal });
    if ('failure' in result && result.failure === 'aborted') break;
    if (!(await note(options, endpoint, { work, result, failures, lease }))) break;
    failures = 0;
  }
  await repository.release(db, endpoint.id, lease);
}

/** Creates the source of the events that an endpoint gets next: new events in the order of commits, and due retries. */
function createQueue(db: Database, endpoint: ClaimedEndpoint, lease: Lease) {
  const { id, tenantId, eventTypes, failures } = endpoint;
  let { position } = endpoint;
  let page: EventRow[] = [];
  let isAtEnd = false;

  async function retry(): Promise<Work | null> {
    for (;;) {
      const due = await repository.dueRetry(db, id);
      if (due === null) return null;
      if (due.event !== null) return { event: due.event, position: null };
      await repository.giveUpPruned(db, id, due.eventId);
    }
  }

  /**
   * Reads the next page of events, and skips pruned ones.
   * @returns false at the end of the log, or if the lease is lost
   */
  async function readPage(): Promise<boolean> {
    if (isAtEnd) return false;
    const found = await eventsAfter(db, position, { limit: PAGE }, tenantId);
    const { pruned } = found;
    if (pruned !== null && isBefore(position, pruned)) {
      const data = { after: formatPosition(position), pruned_up_to: formatPosition(pruned) };
      if (!(await repository.skipPruned(db, endpoint, { to: pruned, data, lease }))) return false;
      position = pruned;
    }
    isAtEnd = found.events.length < PAGE;
    page = found.events;
    return page.length > 0;
  }

  async function event(): Promise<Work | null> {
    for (;;) {
      const start = position;
      for (let row = page.shift(); row !== undefined; row = page.shift()) {
        position = { transaction: row.transaction_id, sequence: row.seq };
        if (wants(eventTypes, row.type)) return { event: row, position };
      }
      if (position !== start && !(await repository.advance(db, id, position, lease))) return null;
      if (!(await readPage())) return null;
    }
  }

  // A failure ends the turn. The next turn then begins with the other kind of work.
  let isTurnOfEvents = failures % 2 === 0;
  let isBehind: boolean | null = null;
  return {
    /**
     * Chooses the next event to send. Retries and new events alternate, so that neither can starve the other. If a
     * failing endpoint has many pending retries, a new event is sent only if no retry is due.
     */
    async next(): Promise<Work | null> {
      isBehind ??= failures > 0 && (await repository.countPending(db, id)) >= MANY_PENDING;
      const isEventFirst = isTurnOfEvents && !isBehind;
      isTurnOfEvents = !isTurnOfEvents;
      return isEventFirst ? ((await event()) ?? retry()) : ((await retry()) ?? event());
    },
  };
}

async function send(
  { post, metrics }: DeliveryTurnOptions,
  { url }: ClaimedEndpoint,
  { work, secrets, signal }: { work: Work; secrets: readonly string[]; signal: AbortSignal },
): Promise<SendResult> {
  const body = JSON.stringify(toMessage(work.event));
  const headers = signedHeaders({ id: work.event.id, body, at: new Date() }, secrets);
  const result = await post({ url, body, headers, signal });
  metrics.attempt(outcomeOf(result), result.latencyMs);
  return result;
}

/**
 * Records an attempt to send an event.
 * @returns whether the event was delivered and this process still holds the lease on the endpoint
 */
async function note(
  { db, schedule, logger, metrics }: DeliveryTurnOptions,
  endpoint: ClaimedEndpoint,
  { work, result, failures, lease }: { work: Work; result: SendResult; failures: number; lease: Lease },
): Promise<boolean> {
  const { id: eventId, type: eventType } = work.event;
  const outcome = outcomeOf(result);
  const factor = jitter(`${endpoint.id} ${eventId}`);
  const leastDelayMs = Math.min('status' in result ? (result.retryAfterMs ?? 0) : 0, MAX_RETRY_AFTER_MS);
  const recorded = await repository.record(
    db,
    endpoint,
    {
      ...{ eventId, eventType, outcome, leastDelayMs },
      statusCode: 'status' in result ? result.status : null,
      latencyMs: Math.round(result.latencyMs * 10) / 10,
      position: work.position,
      delaysMs: schedule.delaysMs.map((ms) => ms * factor),
      restMs: Math.max(schedule.restMs(failures + 1), leastDelayMs),
    },
    lease,
  );
  if (recorded === 'failing' || recorded === 'gone') {
    logger.warn({ endpoint: endpoint.id, tenantId: endpoint.tenantId, reason: recorded }, 'webhook endpoint disabled');
    metrics.disabled(recorded);
  }
  return outcome === 'delivered' && recorded === null;
}

/**
 * Determines the outcome of an attempt from the endpoint's answer. Redirects are not followed and count as refused, as
 * Standard Webhooks advises.
 */
function outcomeOf(result: SendResult): string {
  if ('failure' in result) return result.failure;
  return result.status >= 200 && result.status < 300 ? 'delivered' : 'refused';
}
