import type { RowKind } from '../rows.ts';
import type { SideName } from '../sides/side-protocol.ts';

const NAMES: Readonly<Record<SideName, string>> = {
  'readapt-auto': 'Readapt',
  'readapt-f32': 'Readapt, f32',
  'readapt-int8': 'Readapt, int8 base',
  'torch-f32': 'PyTorch, f32',
  'torch-bf16': 'PyTorch, bf16 weights',
  'torch-autocast': 'PyTorch, bf16 autocast',
};

/** Name of a side in tables and charts. It includes the precision if the engine chose it. */
export function displayName({ name, precision }: { readonly name: SideName; readonly precision?: string }): string {
  return name === 'readapt-auto' && precision ? `${NAMES[name]}, auto (${precision})` : NAMES[name];
}

const ROWS: Readonly<Record<RowKind, string>> = { sst2: 'SST-2', agnews: 'AG News', chat: 'chat' };

/** Names the rows and their number in a batch: `SST-2, 16 rows`. */
export function workloadName({ rows, batchSize }: { readonly rows: RowKind; readonly batchSize: number }): string {
  return `${ROWS[rows]}, ${batchSize} rows`;
}
