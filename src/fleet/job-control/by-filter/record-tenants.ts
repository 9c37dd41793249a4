import type { Transaction } from '../../../platform/database/database.ts';
import type { RecordChange } from '../../../platform/contract/record-change.ts';
import type { OwnOptions } from '../../jobs/index.ts';
import type { JobFilter } from './by-filter.schemas.ts';

/**
 * Function that records in the audit log that jobs of these tenants change. It runs in the transaction of the change.
 */
export type RecordTenants = (tx: Transaction, tenantIds: ReadonlySet<string>) => Promise<void>;

interface RecordedRequest {
  readonly rolloutId: string;
  readonly filter: JobFilter;
  readonly options: OwnOptions | undefined;
  /** The tenant to which the caller is confined; null for the operator. */
  readonly scope: string | null;
}

/**
 * Creates the function that writes the audit entries of one request: one for each tenant whose jobs change and, if the
 * operator sent the request, one for the operator. A tenant gets its entry when the first page with its jobs is
 * changed. Separate entries keep tenants from learning about each other.
 */
export function recordOncePerTenant(
  recordChange: RecordChange,
  { rolloutId, filter, options, scope }: RecordedRequest,
): RecordTenants {
  const recorded = new Set<string | null>();
  const { states, error_codes: codes } = filter;
  const shown = { ...(states && { states }), ...(codes && { error_codes: codes }) };
  const own = options === undefined ? {} : { own_options: options };
  return async (tx, tenantIds) => {
    for (const tenantId of scope === null ? [null, ...tenantIds] : tenantIds) {
      if (recorded.has(tenantId)) continue;
      recorded.add(tenantId);
      const after = { filter: tenantId === scope ? filter : shown, ...own };
      await recordChange(tx, { tenantId, subjectId: rolloutId, before: null, after });
    }
  };
}
