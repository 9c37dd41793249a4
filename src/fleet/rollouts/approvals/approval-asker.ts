import { randomUUID } from 'node:crypto';
import type { QueueProducer } from '../../../platform/queue/producer.ts';
import { backoff } from '../../../lib/backoff.ts';
import { createClaimLoop, type ClaimLoop } from '../../../lib/claim-loop.ts';
import { withTransaction, type Database, type Prisma, type Transaction } from '../../../platform/database/database.ts';
import type { Logger } from '../../../lib/logger.ts';
import type { Post, SendResult } from '../../../platform/outgoing/post.ts';
import { signedHeaders } from '../../../platform/outgoing/sign.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import { approveWave, markRolloutPaused } from '../waves/waves.ts';
import { wavesRepository } from '../waves/waves.repository.ts';
import { followInBatches } from '../pausing/pausing.ts';
import { pausingRepository } from '../pausing/pausing.repository.ts';
import { approvalRepository as repository, type ApprovalLease, type WaitingWave } from './approval.repository.ts';
import { readDecision, type Decision } from './decision.ts';

export interface ApprovalAskerOptions {
  readonly db: Database;
  readonly producer: Pick<QueueProducer, 'enqueueAfterCommit' | 'remove'>;
  /** Creates the function that sends one POST request and gives up after the timeout, in milliseconds. */
  readonly post: (timeoutMs: number) => Post;
  /** Secrets with which requests are signed as Standard Webhooks prescribes, the newest first. */
  readonly secrets: readonly string[];
  readonly logger: Logger;
  /**
   * Computes the delay before the next attempt, in milliseconds, if an attempt got no decision. The first attempt has
   * the number 1.
   */
  readonly delayMs?: (attempt: number) => number;
  /** Interval between searches for waiting waves, in milliseconds (default 1000). */
  readonly intervalMs?: number;
  /**
   * Duration of the lease under which one process asks about a wave, in milliseconds (default 60,000). When the lease
   * expires, another process may ask.
   */
  readonly leaseMs?: number;
}

const DEFAULT_TIMEOUT_MS = 15_000;

const usualDelay = (attempt: number): number => backoff(5000, attempt, 600_000);

/**
 * Creates the loop that asks the address in a rollout's policy whether the next wave may begin, and repeats the request
 * until there is a decision. It reads from the rollouts which waves wait, so nothing is lost when a process dies. A
 * lease ensures that one process at a time asks about a wave.
 */
export function createApprovalAsker(options: ApprovalAskerOptions): ClaimLoop {
  const { db, logger, leaseMs = 60_000, intervalMs } = options;
  const lease: ApprovalLease = { owner: randomUUID(), forMs: leaseMs };
  return createClaimLoop({
    what: 'a request for an approval',
    logger,
    intervalMs,
    candidates: async (limit) => (await repository.candidates(db, limit)).map(({ id }) => ({ id, owner: id })),
    async run({ id }, { signal }) {
      const claimed = await claim(db, id, lease);
      if (claimed === null) return;
      const result = await ask(options, claimed.waiting, { figures: claimed.figures, signal });
      await answer(options, claimed, { result, owner: lease.owner });
    },
  });
}

interface Claimed {
  readonly waiting: WaitingWave;
  readonly attempt: number;
  readonly figures: Prisma.InputJsonObject;
}

function claim(db: Database, id: string, lease: ApprovalLease): Promise<Claimed | null> {
  return withTransaction(db, async (tx) => {
    const waiting = await repository.waiting(tx, id);
    if (waiting === null) return null;
    const { wave } = waiting;
    const attempt = await repository.claim(tx, waiting, lease);
    if (attempt === null) return null;
    const { ended: jobs, ...found } = await wavesRepository.figures(tx, id, wave - 1);
    await recordEvent(tx, {
      tenantId: null,
      type: 'rollout.approval_requested',
      subjectId: id,
      data: { wave, attempt },
    });
    return { waiting, attempt, figures: { wave: wave - 1, jobs, ...found } };
  });
}

/**
 * Sends one request for an approval. The message identifier is the same in all attempts, so the receiver can recognise
 * that it has already decided on the wave.
 */
function ask(
  { post, secrets }: ApprovalAskerOptions,
  { rolloutId, baseModelVersionId, wave, waves, approve }: WaitingWave,
  { figures, signal }: { figures: object; signal: AbortSignal },
): Promise<SendResult> {
  const at = new Date();
  const data = { rollout_id: rolloutId, base_model_version_id: baseModelVersionId, wave, waves, last_wave: figures };
  const body = JSON.stringify({ type: 'rollout.approval_requested', timestamp: at.toISOString(), data });
  const headers = signedHeaders({ id: `${rolloutId}_${wave}`, body, at }, secrets);
  return post(approve.timeout_ms ?? DEFAULT_TIMEOUT_MS)({ url: approve.url, body, headers, signal });
}

/**
 * Acts on the answer to a request for an approval: releases the wave if it is approved, pauses the rollout if it is
 * refused, and otherwise leaves the wave to the next attempt. Does nothing if the wave was decided on in the meantime.
 */
async function answer(
  { db, producer, delayMs = usualDelay }: ApprovalAskerOptions,
  { waiting, attempt }: Claimed,
  { result, owner }: { result: SendResult; owner: string },
): Promise<void> {
  const { rolloutId: id, wave } = waiting;
  const decision = readDecision(result);
  const isDecided = await withTransaction(db, async (tx) => {
    const rollout = await pausingRepository.lock(tx, id);
    // After a refusal the next request is due as soon as the rollout is resumed.
    const afterMs = decision.kind === 'none' ? delayMs(attempt) : 0;
    if (!(await repository.release(tx, waiting, { owner, afterMs }))) return false;
    const present = await repository.waiting(tx, id);
    if (rollout === null || present?.wave !== wave) return false;
    return decide(tx, waiting, decision);
  });
  if (isDecided) await followInBatches({ db, producer }, id);
}

async function decide(tx: Transaction, { rolloutId: id, wave }: WaitingWave, decision: Decision): Promise<boolean> {
  const about = { tenantId: null, subjectId: id };
  switch (decision.kind) {
    case 'approved':
      await recordEvent(tx, { ...about, type: 'rollout.approval_answered', data: { wave, approved: true } });
      return approveWave(tx, id, wave);
    case 'refused': {
      const { reason } = decision;
      await recordEvent(tx, { ...about, type: 'rollout.approval_answered', data: { wave, approved: false, reason } });
      const message = `wave ${wave} was not approved: ${reason}`;
      return markRolloutPaused(tx, id, 'adapting', { code: 'approval_refused', message, wave });
    }
    case 'none': {
      const data = { wave, outcome: decision.outcome, status_code: decision.status };
      await recordEvent(tx, { ...about, type: 'rollout.approval_unanswered', data });
      return false;
    }
  }
}
