import { Prisma, type Queryable, type Transaction } from '../../../platform/database/database.ts';

/** Wave of a rollout that may begin only when the address in the rollout's policy has approved it. */
export interface WaitingWave {
  readonly rolloutId: string;
  readonly baseModelVersionId: string;
  /** Number of the waiting wave; `waves` is how many waves the rollout has in all. */
  readonly wave: number;
  readonly waves: number;
  readonly approve: { readonly url: string; readonly timeout_ms?: number };
}

export interface ApprovalLease {
  readonly owner: string;
  readonly forMs: number;
}

const WAITS = Prisma.sql`r.state = 'adapting' AND r.awaiting_approval
  AND r.options #>> '{policy,approve,url}' IS NOT NULL`;
const lasting = (ms: number): Prisma.Sql => Prisma.sql`make_interval(secs => ${ms / 1000}::float8)`;

export const approvalRepository = {
  /** Finds rollouts with a wave to ask about: no process is asking now, and the next attempt is due. */
  candidates: (db: Queryable, limit: number): Promise<{ id: string }[]> =>
    db.$queryRaw`
      SELECT r.id FROM rollouts r LEFT JOIN approval_requests a ON a.rollout_id = r.id AND a.wave = r.wave + 1
      WHERE ${WAITS} AND (a.next_attempt_at IS NULL OR a.next_attempt_at <= clock_timestamp())
        AND (a.lease_expires_at IS NULL OR a.lease_expires_at < clock_timestamp())
      ORDER BY a.next_attempt_at NULLS FIRST LIMIT ${limit}`,

  /**
   * Reads the wave of a rollout that waits for an approval from an address; null if no wave does. Locks the rollout, so
   * that nobody decides on the wave before the transaction ends.
   */
  async waiting(tx: Transaction, rolloutId: string): Promise<WaitingWave | null> {
    const [row] = await tx.$queryRaw<WaitingWave[]>`
      SELECT r.id AS "rolloutId", r.base_model_version_id AS "baseModelVersionId", r.wave + 1 AS wave,
        cardinality(r.wave_limits) + 1 AS waves, r.options #> '{policy,approve}' AS approve
      FROM rollouts r WHERE r.id = ${rolloutId} AND ${WAITS} FOR SHARE`;
    return row ?? null;
  },

  /**
   * Takes the lease under which a process asks about a wave, and counts the attempt.
   * @returns the number of the attempt; null if another process holds the lease, or the next attempt is not due yet
   */
  async claim(tx: Transaction, { rolloutId, wave }: WaitingWave, lease: ApprovalLease): Promise<number | null> {
    const { owner, forMs } = lease;
    const [row] = await tx.$queryRaw<{ attempts: number }[]>`
      INSERT INTO approval_requests AS a (rollout_id, wave, attempts, lease_owner, lease_expires_at)
      VALUES (${rolloutId}, ${wave}, 1, ${owner}, clock_timestamp() + ${lasting(forMs)})
      ON CONFLICT (rollout_id, wave) DO UPDATE SET attempts = a.attempts + 1, lease_owner = EXCLUDED.lease_owner,
        lease_expires_at = EXCLUDED.lease_expires_at
      WHERE (a.lease_expires_at IS NULL OR a.lease_expires_at < clock_timestamp())
        AND a.next_attempt_at <= clock_timestamp()
      RETURNING attempts`;
    return row?.attempts ?? null;
  },

  /**
   * Releases the lease under which this process asks about a wave, and sets the time of the next attempt. Returns
   * false, and changes nothing, if the lease was lost.
   */
  async release(tx: Transaction, { rolloutId, wave }: WaitingWave, next: { owner: string; afterMs: number }) {
    const count = await tx.$executeRaw`
      UPDATE approval_requests SET lease_owner = NULL, lease_expires_at = NULL,
        next_attempt_at = clock_timestamp() + ${lasting(next.afterMs)}
      WHERE rollout_id = ${rolloutId} AND wave = ${wave} AND lease_owner = ${next.owner}`;
    return count === 1;
  },
};
