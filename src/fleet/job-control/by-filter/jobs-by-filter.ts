import type { QuotaLimits } from '../../../platform/config/quotas.ts';
import type { QueueProducer } from '../../../platform/queue/producer.ts';
import { withTransaction, type Database, type Transaction } from '../../../platform/database/database.ts';
import { notFound } from '../../../platform/contract/errors.ts';
import { decodeCursor, encodeCursor } from '../../../platform/contract/pagination.ts';
import type { RecordChange } from '../../../platform/contract/record-change.ts';
import { unconfined } from '../../../platform/database/row-security/confined-database.repository.ts';
import { createJobRooms } from '../../../tenants/quotas/index.ts';
import type { OwnOptions } from '../../jobs/index.ts';
import { lockRollout } from '../../rollouts/index.ts';
import { actionOf, type Action, type QueueChanges } from './actions.ts';
import { byFilterRepository as repository, type BulkJobAction, type JobSelection } from './by-filter.repository.ts';
import type { ChangedRolloutJobs, JobFilter } from './by-filter.schemas.ts';
import { recordOncePerTenant, type RecordTenants } from './record-tenants.ts';

/** Number of jobs that one transaction of an action by filter changes. */
const PAGE = 1000;
/** Largest number of transactions in one request, which limits its response time. */
const PAGES = 10;

interface ByFilterDependencies {
  readonly db: Database;
  readonly producer: Pick<QueueProducer, 'enqueueAfterCommit' | 'remove'>;
  readonly quotas: QuotaLimits;
  readonly pageSize?: number;
  readonly pages?: number;
}

interface ByFilterRequest {
  readonly filter?: JobFilter;
  readonly options?: OwnOptions;
  readonly dry_run?: boolean;
  readonly cursor?: string;
}

/** Caller of an action by filter, with the function that records changes in the audit log. */
interface Caller {
  /** The tenant to which the caller is confined; null for the operator. */
  readonly scope: string | null;
  readonly recordChange: RecordChange;
}

interface PageToChange {
  readonly selection: JobSelection;
  readonly ids: readonly string[];
  readonly action: Action;
  readonly isDryRun: boolean;
  readonly record: RecordTenants;
}

interface PageOutcome extends QueueChanges {
  /** Number of jobs of the page that still matched the filter when they were locked. */
  readonly matched: number;
  /** Error code for each job of the page that was left as it is. */
  readonly left: readonly string[];
}

/**
 * Creates the service that pauses, resumes, cancels or retries all jobs of a rollout that match a filter. Pages of jobs
 * are committed one by one, so that no transaction blocks a large fleet. A changed job no longer matches, so a client
 * that repeats its request after a crash changes only the remaining jobs.
 */
export function createJobsByFilter({ db, producer, quotas, pageSize = PAGE, pages = PAGES }: ByFilterDependencies) {
  const jobRooms = createJobRooms({ db: unconfined(db), defaults: quotas });
  return {
    /** Applies an action to the jobs of a rollout that match a filter. @throws AppError 404, 400 `invalid_cursor` */
    async change(
      rolloutId: string,
      name: BulkJobAction,
      { filter = {}, options, dry_run: isDryRun = false, cursor, scope, recordChange }: ByFilterRequest & Caller,
    ): Promise<ChangedRolloutJobs> {
      if (!(await repository.rolloutExists(db, rolloutId))) throw notFound('rollout', rolloutId);
      const selection: JobSelection = { rolloutId, action: name, filter, tenantId: scope };
      const action = actionOf(name, { changes: { options, isOperator: scope === null }, jobRooms, isDryRun });
      const record = recordOncePerTenant(recordChange, { rolloutId, filter, options, scope });
      const outcomes: PageOutcome[] = [];
      let after: string | null = cursor === undefined ? '' : decodeCursor(cursor);
      while (after !== null && outcomes.length < pages) {
        // Read through the confined database, so that a tenant reaches only its own jobs.
        const ids: string[] = await repository.page(db, selection, { after, limit: pageSize });
        const page = { selection, ids, action, isDryRun, record };
        const outcome = await withTransaction(unconfined(db), (tx) => changePage(tx, page));
        outcomes.push(outcome);
        await producer.enqueueAfterCommit([...outcome.entries]);
        await producer.remove('adaptations', [...outcome.removed]);
        after = ids.length < pageSize ? null : (ids.at(-1) ?? null);
      }
      return { dry_run: isDryRun, ...sum(outcomes), next_cursor: after === null ? null : encodeCursor(after) };
    },
  };
}

/**
 * Changes one page of jobs. The transaction is not confined to the caller's tenant, because a tenant may neither lock
 * rollouts nor write to the outbox.
 */
async function changePage(
  tx: Transaction,
  { selection, ids, action, isDryRun, record }: PageToChange,
): Promise<PageOutcome> {
  const { rolloutId } = selection;
  const rolloutState = await lockRollout(tx, rolloutId);
  const jobs = await repository.lock(tx, selection, ids);
  const judged = await action(tx, { rolloutId, rolloutState, jobs });
  const changed = jobs.filter(({ id }) => !judged.left.has(id));
  const counts = { matched: jobs.length, left: [...judged.left.values()] };
  if (isDryRun || changed.length === 0) return { ...counts, entries: [], removed: [] };
  const queue = await judged.change(changed.map(({ id }) => id));
  await record(tx, new Set(changed.map((job) => job.tenant_id)));
  return { ...counts, ...queue };
}

function sum(outcomes: readonly PageOutcome[]): Pick<ChangedRolloutJobs, 'matched' | 'changed' | 'left'> {
  const matched = outcomes.reduce((total, outcome) => total + outcome.matched, 0);
  const codes = new Map<string, number>();
  for (const code of outcomes.flatMap((outcome) => outcome.left)) codes.set(code, (codes.get(code) ?? 0) + 1);
  const left = [...codes].map(([code, jobs]) => ({ code, jobs })).sort((a, b) => (a.code < b.code ? -1 : 1));
  return { matched, changed: matched - left.reduce((total, { jobs }) => total + jobs, 0), left };
}
