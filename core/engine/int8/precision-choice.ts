import os from 'node:os';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Precision } from '../../options/precisions.ts';
import type { EngineCache } from '../cache/engine-cache.ts';
import { ownSources, sha256 } from '../cache/sources.ts';
import type { Int8Errors } from './int8-errors.ts';
import type { Smoothing } from './rounding/int8-matrix.ts';

/** The precision that a base is computed in, and the reason for it. */
export interface PrecisionChoice {
  readonly precision: Precision;
  /** In words. */
  readonly reason: string;
  /** Why int8, which was asked for, would not have been chosen; null where it would have been, or was not asked for. */
  readonly warning: string | null;
}

/** How int8 compares with float32 on one base and machine. */
export interface Comparison extends Pick<Int8Errors, 'losses'> {
  /** How many times as fast a forward pass is. */
  readonly speedUp: number;
}

/** What was found out about a base in int8. */
export interface Verdict extends Comparison {
  readonly smoothing: Smoothing;
}

/** Everything that a verdict follows from, beside the machine and the code. */
export interface VerdictKey {
  /** Fingerprint of the base. */
  readonly fingerprint: string;
  /** Ids of the texts, which depend on the base's tokenizer. */
  readonly inputIds: Int32Array;
  readonly threads: number;
}

/** A verdict as JSON, its arrays as base64 of their float32 bytes. */
interface KeptVerdict extends Comparison {
  readonly smoothing: Readonly<Record<string, string>>;
}

/** Returns the verdict of an earlier process on a machine like this one; null if there is none. */
export async function keptVerdict(cache: EngineCache | null | undefined, key: VerdictKey): Promise<Verdict | null> {
  const known = await cache?.read(nameOf(key));
  return known ? decode(known) : null;
}

export async function keepVerdict(
  cache: EngineCache | null | undefined,
  key: VerdictKey,
  verdict: Verdict,
): Promise<void> {
  await cache?.write(nameOf(key), encode(verdict));
}

/** What the speed of a base depends on, whatever its weights are. */
export interface SpeedKey extends Omit<VerdictKey, 'fingerprint'> {
  readonly config: ModelConfig;
}

/** Returns how many times as fast int8 is with bases of a config, as an earlier comparison has measured; null if none has. */
export async function keptSpeedUp(cache: EngineCache | null | undefined, key: SpeedKey): Promise<number | null> {
  const known = await cache?.read(speedName(key));
  return known ? (JSON.parse(Buffer.from(known).toString()) as number) : null;
}

export async function keepSpeedUp(
  cache: EngineCache | null | undefined,
  key: SpeedKey,
  speedUp: number,
): Promise<void> {
  await cache?.write(speedName(key), Buffer.from(JSON.stringify(speedUp)));
}

/** The processor is part of the name because the speed depends on it. */
function nameOf(key: VerdictKey): string {
  return keptName('verdict', key);
}

function speedName(key: SpeedKey): string {
  return keptName('speed', key);
}

function keptName(kind: string, { inputIds, ...key }: VerdictKey | SpeedKey): string {
  return sha256(JSON.stringify([kind, { ...key, inputIds: [...inputIds] }, os.cpus()[0]?.model, ownSources()]));
}

function encode({ smoothing, ...comparison }: Verdict): Uint8Array {
  const arrays = [...smoothing].map(([name, { buffer, byteOffset, byteLength }]) => {
    return [name, Buffer.from(buffer, byteOffset, byteLength).toString('base64')];
  });
  const kept: KeptVerdict = { ...comparison, smoothing: Object.fromEntries(arrays) as KeptVerdict['smoothing'] };
  return Buffer.from(JSON.stringify(kept));
}

function decode(bytes: Uint8Array): Verdict {
  const { smoothing, ...comparison } = JSON.parse(Buffer.from(bytes).toString()) as KeptVerdict;
  const arrays = Object.entries(smoothing).map(
    ([name, text]) => [name, new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer)] as const,
  );
  return { ...comparison, smoothing: new Map(arrays) };
}
