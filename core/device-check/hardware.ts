import { execFile } from 'node:child_process';
import { cpus } from 'node:os';
import { promisify } from 'node:util';
import { cardOf, kindOf, type Device } from '../options/devices.ts';

/**
 * Returns the name of the hardware: the processor's model, or the card's name, memory and driver from nvidia-smi.
 * Returns null if the system does not tell, as with WebGPU.
 */
export async function hardwareOf(device: Device): Promise<string | null> {
  const kind = kindOf(device);
  if (kind === 'webgpu') return null;
  if (kind !== 'cuda' && kind !== 'tfjs-node-gpu') return cpus()[0]?.model ?? null;
  const fields = '--query-gpu=name,memory.total,driver_version';
  const args = [
    fields,
    '--format=csv,noheader',
    `--id=${visibleCard(cardOf(device), process.env['CUDA_VISIBLE_DEVICES'])}`,
  ];
  return promisify(execFile)('nvidia-smi', args, { timeout: 10_000 }).then(
    ({ stdout }) => stdout.trim().split('\n')[0] ?? null,
    () => null,
  );
}

/**
 * Returns the identifier that nvidia-smi uses for a CUDA card number. CUDA counts only the cards that
 * CUDA_VISIBLE_DEVICES lists, by number or by UUID.
 */
export function visibleCard(card: number, visible: string | undefined): string {
  const listed = visible?.split(',').map((entry) => entry.trim()) ?? [];
  return (listed[card] ?? '') === '' ? String(card) : listed[card]!;
}
