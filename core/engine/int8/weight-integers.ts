import { readFileSync } from 'node:fs';

/** Array of the integers of a rounded matrix, of either type. */
export type IntegerArray = Int8Array | Uint8Array;

/** Form in which the integers of rounded weights, from -127 to 127, are stored and multiplied. */
export interface WeightIntegers {
  readonly type: 'int8' | 'uint8';
  /** Number that is added to each integer. */
  readonly zeroPoint: number;
  readonly ArrayType: new (length: number) => IntegerArray;
}

/** Signed integers, for processors that multiply u8 by s8 and sum the products in 32 bits. */
export const SIGNED: WeightIntegers = { type: 'int8', zeroPoint: 0, ArrayType: Int8Array };

/**
 * Unsigned integers, for x64 processors without VNNI. There ONNX Runtime's kernel for u8 · s8 sums pairs of products in
 * 16 bits, where large pairs are cut off; its kernel for u8 · u8 is exact.
 */
export const SHIFTED: WeightIntegers = { type: 'uint8', zeroPoint: 128, ArrayType: Uint8Array };

/** Form of rounded weights whose products are exact on this machine's processor. */
export const WEIGHT_INTEGERS = weightIntegersFor(process.arch, processorFlags());

/**
 * Returns the form of rounded weights whose products are exact on a processor.
 * @param arch architecture as Node names it
 * @param flags the processor's features as Linux names them
 */
export function weightIntegersFor(arch: string, flags: readonly string[]): WeightIntegers {
  if (arch !== 'x64') return SIGNED;
  return flags.includes('avx512_vnni') || flags.includes('avx_vnni') ? SIGNED : SHIFTED;
}

/** Reads the processor's features; none on systems other than Linux. */
function processorFlags(): string[] {
  try {
    return /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(/\s+/) ?? [];
  } catch {
    return [];
  }
}
