import { makeBatch } from '../../data/batching.ts';
import type { ExampleRow, TokenizedExample } from '../../data/example.ts';
import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import { gradientError, lossChange, tooInexact, type Int8Errors } from '../../engine/int8/int8-errors.ts';
import type { Adapter } from '../../models/lora/adapter.ts';

/** Rows that int8 is compared with float32 on, and the most input tokens of them. */
const COMPARED = { rows: 16, tokens: 512 };

/** Gradients cost three times as much. */
const DIFFERENTIATED = { rows: 4, tokens: 128 };

/**
 * Compares int8 with float32 on rows of a task, with its adapter. The result is kept for tasks of the same kind on the same
 * base, so that a fleet of tenants pays for it once.
 * @returns why int8 is too inexact for these rows; null where it is not, or cannot be compared for want of memory
 */
export async function objectionToInt8(
  bases: BaseCache,
  base: LoadedBase,
  adapter: Adapter,
  rows: readonly TokenizedExample[],
): Promise<string | null> {
  const [compared, differentiated] = [firstRows(rows, COMPARED), firstRows(rows, DIFFERENTIATED)];
  if (base.precision.precision !== 'int8' || compared.length === 0) return null;
  const compare = () =>
    bases.withFloat32(
      base,
      async (exact): Promise<Int8Errors> => {
        const batch = makeBatch(compared);
        const found = await base.runtime.labelLosses(adapter, batch);
        const losses = lossChange(found, await exact.labelLosses(adapter, batch));
        const small = makeBatch(differentiated.length > 0 ? differentiated : compared.slice(0, 1));
        return { losses, gradients: await gradientError(base.runtime, exact, adapter, small) };
      },
      'few',
    );
  const errors = await bases.rowErrors(base, kindOf(compared), compare);
  return errors && tooInexact(errors);
}

/** The first rows, as long as they have no more tokens than that. */
function firstRows(rows: readonly TokenizedExample[], most: { readonly rows: number; readonly tokens: number }) {
  let tokens = 0;
  return rows.slice(0, most.rows).filter(({ tokenIds }) => {
    tokens += tokenIds.length;
    return tokens <= most.tokens;
  });
}

/**
 * What of a task decides how int8 does on it: the length of its rows to a factor of two, and the shares of their letters
 * that are Latin, not Latin, and no letters at all, in fourths.
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
