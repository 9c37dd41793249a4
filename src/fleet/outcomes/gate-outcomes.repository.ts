import type { Prisma, Transaction } from '../../platform/database/database.ts';

/** Measurement of an adapter version on the gate rows: a result for each row, and the metric over all rows. */
export interface MeasuredOutcomes {
  readonly digest: string;
  readonly value: number;
  readonly standardError: number;
  readonly values: readonly number[];
  /** Results on the search rows, with which adapters in training are compared; absent if they are not known. */
  readonly watched?: { readonly digest: string; readonly values: readonly number[] } | undefined;
}

/** Stores the measurement of an adapter version on its own base, in place of an earlier one. */
export async function keepOutcomes(
  tx: Transaction,
  version: { readonly id: string; readonly tenantId: string },
  { digest, value, standardError, values, watched }: MeasuredOutcomes,
): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO gate_outcomes (
      adapter_version_id, tenant_id, digest, value, standard_error, values, watched, measured_at)
    VALUES (${version.id}, ${version.tenantId}, ${digest}, ${value}, ${standardError}, ${[...values]},
      ${watched === undefined ? null : JSON.stringify(watched)}::jsonb, clock_timestamp())
    ON CONFLICT (adapter_version_id) DO UPDATE SET digest = EXCLUDED.digest, value = EXCLUDED.value,
      standard_error = EXCLUDED.standard_error, values = EXCLUDED.values, watched = EXCLUDED.watched,
      measured_at = EXCLUDED.measured_at`;
}

/** Converts a row of `gate_outcomes` or `anchor_outcomes` to the measurement that it stores. */
export function storedOutcomes({
  digest,
  value,
  standardError,
  values,
  watched,
}: Omit<MeasuredOutcomes, 'watched'> & { readonly watched: Prisma.JsonValue }): MeasuredOutcomes {
  // Only `keepOutcomes` and the publication of a version write the column.
  const onSearch = watched as MeasuredOutcomes['watched'] | null;
  return { digest, value, standardError, values, ...(onSearch && { watched: onSearch }) };
}
