import { makeBatch } from '../../data/batching.ts';
import type { ExampleRow, TokenizedExample } from '../../data/example.ts';
import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import { gradientError, lossChange, tooInexact, type Int8Errors } from '../../engine/int8/int8-errors.ts';
import type { Adapter } from '../../models/lora/adapter.ts';

/** Largest number of rows, and of tokens in all of them, on which losses in int8 are compared with those in float32. */
const COMPARED = { rows: 16, tokens: 512 };

/**
 * Largest number of rows, and of tokens in all of them, on which gradients are compared. Gradients cost three times as
 * much as losses.
 */
const DIFFERENTIATED = { rows: 4, tokens: 128 };

/** Rows of a task, with the base and the adapter whose losses or gradients on them are computed. */
export interface RowsOnBase {
  readonly bases: BaseCache;
  readonly base: LoadedBase;
  readonly adapter: Adapter;
  readonly rows: readonly TokenizedExample[];
}

/**
 * Compares the losses of a task's rows in int8 with those in float32. The result is cached for tasks of the same kind
 * on the same base, so that a fleet of tenants pays for the comparison once.
 * @returns the reason against int8 for these rows; null if there is none, or if memory does not suffice for the
 * comparison
 */
export async function objectionToLosses(on: RowsOnBase): Promise<string | null> {
  const rows = firstRows(on.rows, COMPARED);
  return objection(on, ['losses', rows], async (exact) => {
    const batch = makeBatch(rows);
    const found = await on.base.runtime.labelLosses(on.adapter, batch);
    return { losses: lossChange(found, await exact.labelLosses(on.adapter, batch)) };
  });
}

/**
 * Compares the gradients of an adapter's factors in int8 with those in float32, like {@link objectionToLosses}.
 * @param origin origin of the adapter. Results are cached for each origin, because an adapter that fits its rows
 * already has smaller gradients
 */
export async function objectionToGradients(on: RowsOnBase, origin: string): Promise<string | null> {
  const few = firstRows(on.rows, DIFFERENTIATED);
  const rows = few.length > 0 ? few : firstRows(on.rows, COMPARED).slice(0, 1);
  return objection(on, [`gradients ${origin}`, rows], async (exact) => {
    return { gradients: await gradientError(on.base.runtime, exact, on.adapter, makeBatch(rows)) };
  });
}

async function objection(
  { bases, base }: RowsOnBase,
  [what, rows]: [string, readonly TokenizedExample[]],
  compare: (exact: LoadedBase['runtime']) => Promise<Partial<Int8Errors>>,
): Promise<string | null> {
  if (base.precision.precision !== 'int8' || rows.length === 0) return null;
  const errors = await bases.rowErrors(base, `${what} ${kindOf(rows)}`, () => bases.withFloat32(base, compare, 'few'));
  return errors && tooInexact(errors);
}

/** Returns rows from the beginning of a list, within the limits of rows and of tokens in all of them. */
function firstRows(rows: readonly TokenizedExample[], most: { readonly rows: number; readonly tokens: number }) {
  let tokens = 0;
  return rows.slice(0, most.rows).filter(({ tokenIds }) => {
    tokens += tokenIds.length;
    return tokens <= most.tokens;
  });
}

/**
 * Returns the kind of a task, by the properties of its rows that determine the error of int8: their length, to a factor
 * of two, and the shares of Latin letters, other letters and other characters in their text, in quarters.
 */
function kindOf(rows: readonly TokenizedExample[]): string {
  const lengths = rows.map(({ tokenIds }) => tokenIds.length);
  const text = rows.map(({ row }) => textOf(row)).join('');
  const share = (pattern: RegExp) => Math.round((4 * (text.match(pattern)?.length ?? 0)) / Math.max(1, text.length));
  const median = lengths.toSorted((a, b) => a - b)[lengths.length >> 1]!;
  return [Math.round(Math.log2(median)), share(/\p{Script=Latin}/gu), share(/(?!\p{Script=Latin})\p{L}/gu)].join(' ');
}

function textOf(row: ExampleRow): string {
  if ('prompt' in row) return row.prompt + row.completion;
  return row.messages.map(({ content }) => content ?? '').join('');
}
