import type { SideName } from './side-protocol.ts';

const NAMES: Readonly<Record<SideName, string>> = {
  'readapt-auto': 'Readapt',
  'readapt-f32': 'Readapt, f32',
  'readapt-int8': 'Readapt, int8 base',
  'torch-f32': 'PyTorch, f32',
  'torch-bf16': 'PyTorch, bf16 weights',
  'torch-autocast': 'PyTorch, bf16 autocast',
};

/** A side as readers know it; where the engine chose its precision itself, with what it chose. */
export function displayName({ name, precision }: { readonly name: SideName; readonly precision?: string }): string {
  return name === 'readapt-auto' && precision ? `${NAMES[name]}, auto (${precision})` : NAMES[name];
}
