import { makeBatch } from '../../data/batching.ts';
import type { ExampleRow, TokenizedExample } from '../../data/example.ts';
import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import { gradientError, lossChange, tooInexact, type Int8Errors } from '../../engine/int8/int8-errors.ts';
import type { Adapter } from '../../models/lora/adapter.ts';

/**
 * Largest numbers of rows, and of tokens in all of them, on which losses in int8 are compared with losses in float32.
 */
const COMPARED = { rows: 16, tokens: 512 };

/**
 * Largest numbers of rows, and of tokens in all of them, on which gradients in int8 are compared with gradients in
 * float32. Gradients cost three times as much as losses.
 */
const DIFFERENTIATED = { rows: 4, tokens: 128 };

/** Rows of a task, and the base and the adapter with which losses or gradients are computed on them. */
export interface RowsOnBase {
  readonly bases: BaseCache;
  readonly base: LoadedBase;
  readonly adapter: Adapter;
  readonly rows: readonly TokenizedExample[];
}

/**
 * Compares losses in int8 with losses in float32 on rows of a task. The result is cached for tasks of the same kind on
 * the same base, so that a fleet of tenants pays for the comparison once.
 * @returns the reason against int8 for this task; null if there is none, if the base is not in int8, or if memory does
 * not suffice for the comparison
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

/**
 * Returns the rows from the beginning of a list, up to the largest number of rows and of tokens in all of them
 * together.
 */
function firstRows(rows: readonly TokenizedExample[], most: { readonly rows: number; readonly tokens: number }) {
  let tokens = 0;
  return rows.slice(0, most.rows).filter(({ tokenIds }) => {
    tokens += tokenIds.length;
    return tokens <= most.tokens;
  });
}

/**
 * Returns a name for the kind of the rows, under which comparisons are cached. The name contains the properties of the
 * rows that determine the error of int8: the median length, to a factor of two, and the shares of Latin and of other
 * letters in the text, in quarters.
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
