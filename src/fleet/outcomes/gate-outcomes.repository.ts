import type { Transaction } from '../../platform/database/database.ts';

/** Measurement of an adapter version on the gate rows: a result for each row, and the metric over all rows. */
export interface MeasuredOutcomes {
  readonly digest: string;
  readonly value: number;
  readonly standardError: number;
  readonly values: readonly number[];
}

/** Stores the measurement of an adapter version on its own base, in place of an earlier one. */
export async function keepOutcomes(
  tx: Transaction,
  version: { readonly id: string; readonly tenantId: string },
  { digest, value, standardError, values }: MeasuredOutcomes,
): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO gate_outcomes (adapter_version_id, tenant_id, digest, value, standard_error, values, measured_at)
    VALUES (${version.id}, ${version.tenantId}, ${digest}, ${value}, ${standardError}, ${[...values]},
      clock_timestamp())
    ON CONFLICT (adapter_version_id) DO UPDATE SET digest = EXCLUDED.digest, value = EXCLUDED.value,
      standard_error = EXCLUDED.standard_error, values = EXCLUDED.values, measured_at = EXCLUDED.measured_at`;
}
