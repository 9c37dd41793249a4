import {
  isStatementTimeout,
  withTransaction,
  type Database,
  type Transaction,
} from '../../platform/database/database.ts';
import { AppError, unprocessable } from '../../platform/contract/errors.ts';
import { createKeyedMutex, type KeyedMutex } from '../../lib/keyed-mutex.ts';
import type { RolloutService } from '../rollouts/index.ts';
import { groupsOf, phasesOf, speedupOf, totalOf, type Found } from './report.mapper.ts';
import { reportRepository as repository, type ReportSelection } from './report.repository.ts';
import type { Figures, Group, GroupBy, RolloutReport, TtrQuery, TtrReport } from './report.schemas.ts';

/** Largest number of jobs that a report on several rollouts may cover. */
const MOST_JOBS = 200_000;
/** Time limit for each SQL statement of a report, in milliseconds. */
const STATEMENT_MS = 10_000;
const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;

interface ReportDependencies {
  readonly db: Database;
  readonly rollouts: Pick<RolloutService, 'get'>;
  /**
   * Keyed mutex that runs the reports of one caller one after another, so that no caller keeps the database busy with
   * several reports at a time.
   */
  readonly inTurn?: KeyedMutex;
  readonly mostJobs?: number;
  readonly statementMs?: number;
}

/**
 * Creates the service for reports on rollouts. In all methods `scope` is the tenant to which the caller is confined, or
 * null for the operator.
 */
export function createReportService(deps: ReportDependencies) {
  const { db, rollouts, inTurn = createKeyedMutex(), mostJobs = MOST_JOBS, statementMs = STATEMENT_MS } = deps;
  const report = <T>(scope: string | null, make: (tx: Transaction) => Promise<T>): Promise<T> =>
    inTurn(scope ?? '', () =>
      withTransaction(db, async (tx) => {
        await repository.limitStatements(tx, statementMs);
        return make(tx);
      }).catch((error: unknown) => {
        throw isStatementTimeout(error) ? takesTooLong(statementMs, error) : error;
      }),
    );
  return {
    /** Makes the report on one rollout. @throws AppError 404, 422 `report_too_large` */
    async rollout(id: string, scope: string | null): Promise<RolloutReport> {
      const { base_model_name, version, state } = await rollouts.get(id, scope);
      return report(scope, async (tx) => {
        const selection = { rolloutIds: [id], tenantId: scope };
        const found = await find(tx, selection, ['tenant', 'strategy']);
        const { groups, leftOut } = groupsOf(found, 'tenant');
        return {
          rollout_id: id,
          base_model_name,
          version,
          state,
          ...(await wholeOf(tx, selection, found)),
          tenants: await named(tx, groups),
          tenants_left_out: leftOut,
          strategies: groupsOf(found, 'strategy').groups,
        };
      });
    },

    /**
     * Makes the report on the times to readiness in the rollouts of a period.
     * @throws AppError 400 `invalid_request`, 422 `report_too_large`
     */
    async ttr(query: TtrQuery, scope: string | null): Promise<TtrReport> {
      const { base_model: baseModel = null, group_by: by = 'rollout' } = query;
      const { from, to } = rangeOf(query);
      return report(scope, async (tx) => {
        const chosen = await repository.rollouts(tx, { from, to, baseModel, tenantId: scope });
        const jobs = chosen.reduce((sum, rollout) => sum + rollout.jobs, 0);
        if (jobs > mostJobs) throw tooLarge(jobs, mostJobs);
        const selection = { rolloutIds: chosen.map(({ id }) => id), tenantId: scope };
        const found = await find(tx, selection, [by]);
        const { groups, leftOut } = groupsOf(found, by);
        return {
          from: from.toISOString(),
          to: to?.toISOString() ?? null,
          base_model: baseModel,
          rollouts: chosen.length,
          ...(await wholeOf(tx, selection, found)),
          group_by: by,
          groups: by === 'tenant' ? await named(tx, groups) : groups,
          groups_left_out: leftOut,
        };
      });
    },
  };
}

async function find(tx: Transaction, selection: ReportSelection, by: readonly GroupBy[]): Promise<Found> {
  const times = await repository.times(tx, selection, by);
  return { times, uses: await repository.deviceSeconds(tx, selection, times) };
}

async function wholeOf(tx: Transaction, selection: ReportSelection, found: Found): Promise<Figures> {
  return {
    total: totalOf(found),
    phases: phasesOf(await repository.phases(tx, selection)),
    speedup: speedupOf(await repository.speedup(tx, selection)),
  };
}

/**
 * Adds the tenants' names to groups by tenant. The name of a deleted tenant ends with `~` and the tenant's identifier,
 * which is cut off.
 */
async function named(tx: Transaction, groups: readonly Group[]): Promise<Group[]> {
  const ids = groups.flatMap(({ id }) => id ?? []);
  const names = new Map((await repository.tenantNames(tx, ids)).map(({ id, name }) => [id, name.split('~')[0]!]));
  return groups.map((group) => ({ ...group, name: names.get(group.id ?? '') ?? null }));
}

function rangeOf({ from, to }: TtrQuery): { from: Date; to: Date | null } {
  const end = to === undefined ? null : new Date(to);
  const begin = from === undefined ? new Date((end?.getTime() ?? Date.now()) - DEFAULT_DAYS * DAY_MS) : new Date(from);
  if (end === null || begin < end) return { from: begin, to: end };
  const message = `from is ${from} and to is ${to}, expected an earlier from`;
  throw new AppError({ code: 'invalid_request', status: 400, message });
}

function tooLarge(jobs: number, limit: number): AppError {
  const message =
    `these rollouts have ${jobs} jobs, and a report is of at most ${limit}: ` +
    'choose a shorter time, or one base_model';
  return unprocessable('report_too_large', message, { jobs, limit });
}

function takesTooLong(ms: number, cause: unknown): AppError {
  const message =
    `a part of the report took PostgreSQL more than ${ms / 1000} s: ` +
    'choose a shorter time or one rollout, or try again';
  return new AppError({ code: 'report_too_large', status: 422, message, cause });
}
