import os from 'node:os';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Precision } from '../../options/precisions.ts';
import type { EngineCache } from '../cache/engine-cache.ts';
import { ownSources, sha256 } from '../cache/sources.ts';
import type { Int8Errors } from './int8-errors.ts';
import type { Smoothing } from './rounding/int8-matrix.ts';
import { WEIGHT_INTEGERS } from './weight-integers.ts';

/** Precision that was chosen for a base, and the reason for it. */
export interface PrecisionChoice {
  readonly precision: Precision;
  /** Reason for the choice, in words for the user. */
  readonly reason: string;
  /**
   * Reason against int8 for a base that uses int8 all the same, because int8 was requested or float32 does not fit into
   * the memory; null if there is no such reason.
   */
  readonly warning: string | null;
}

/** Comparison of int8 with float32 on one base and machine. */
export interface Comparison extends Pick<Int8Errors, 'losses'> {
  /** Speedup of a forward pass: its time in float32 divided by its time in int8. */
  readonly speedUp: number;
}

/** Findings about a base in int8 on one machine: its speed, its errors, and the smoothing factors for rounding it. */
export interface Int8Verdict extends Comparison {
  readonly smoothing: Smoothing;
}

/** Inputs that determine a verdict on int8, together with the machine and the code. */
export interface Int8VerdictKey {
  /** Fingerprint of the base. */
  readonly fingerprint: string;
  /** Token ids of the calibration texts, which depend on the base's tokenizer. */
  readonly inputIds: Int32Array;
  readonly threads: number;
}

/** A verdict on int8 as it is stored in JSON, with arrays as base64 of their float32 bytes. */
interface StoredVerdict extends Comparison {
  readonly smoothing: Readonly<Record<string, string>>;
}

/** Returns the cached verdict of an earlier process on a machine like this one; null if there is none. */
export async function cachedVerdict(
  cache: EngineCache | null | undefined,
  key: Int8VerdictKey,
): Promise<Int8Verdict | null> {
  const known = await cache?.read(verdictName(key));
  return known ? decode(known) : null;
}

export async function cacheVerdict(
  cache: EngineCache | null | undefined,
  key: Int8VerdictKey,
  verdict: Int8Verdict,
): Promise<void> {
  await cache?.write(verdictName(key), encode(verdict));
}

/**
 * Inputs that determine the speed of a base. Its weights are not among them, so bases of one config share a
 * measurement.
 */
export interface SpeedKey extends Omit<Int8VerdictKey, 'fingerprint'> {
  readonly config: ModelConfig;
}

/** Returns the cached speedup of int8 for bases of a config; null if none was measured. */
export async function cachedSpeedUp(cache: EngineCache | null | undefined, key: SpeedKey): Promise<number | null> {
  const known = await cache?.read(speedName(key));
  return known ? (JSON.parse(Buffer.from(known).toString()) as number) : null;
}

export async function cacheSpeedUp(
  cache: EngineCache | null | undefined,
  key: SpeedKey,
  speedUp: number,
): Promise<void> {
  await cache?.write(speedName(key), Buffer.from(JSON.stringify(speedUp)));
}

function verdictName(key: Int8VerdictKey): string {
  return entryName('verdict', key);
}

function speedName(key: SpeedKey): string {
  return entryName('speed', key);
}

/**
 * Makes the name of an entry in the engine's cache. It includes the processor and the form of int8 weights, because the
 * speed of int8 depends on them.
 */
function entryName(kind: string, { inputIds, ...key }: Int8VerdictKey | SpeedKey): string {
  const processor = [os.cpus()[0]?.model, WEIGHT_INTEGERS.type];
  return sha256(JSON.stringify([kind, { ...key, inputIds: [...inputIds] }, ...processor, ownSources()]));
}

function encode({ smoothing, ...comparison }: Int8Verdict): Uint8Array {
  const arrays = [...smoothing].map(([name, { buffer, byteOffset, byteLength }]) => {
    return [name, Buffer.from(buffer, byteOffset, byteLength).toString('base64')];
  });
  const stored: StoredVerdict = { ...comparison, smoothing: Object.fromEntries(arrays) as StoredVerdict['smoothing'] };
  return Buffer.from(JSON.stringify(stored));
}

function decode(bytes: Uint8Array): Int8Verdict {
  const { smoothing, ...comparison } = JSON.parse(Buffer.from(bytes).toString()) as StoredVerdict;
  const arrays = Object.entries(smoothing).map(
    ([name, text]) => [name, new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer)] as const,
  );
  return { ...comparison, smoothing: new Map(arrays) };
}
