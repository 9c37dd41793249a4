import os from 'node:os';
import type { EngineCache } from '../cache/engine-cache.ts';
import { ownSources, sha256 } from '../cache/sources.ts';
import type { Precision } from '../../options/precisions.ts';
import type { Smoothing } from './int8-matrix.ts';

/** The precision that a base is computed in, with the reason in words; int8 comes with its smoothing. */
export interface PrecisionChoice {
  readonly precision: Precision;
  readonly reason: string;
  readonly smoothing?: Smoothing;
}

/** Everything that a choice follows from, beside the machine and the code. */
export interface ChoiceKey {
  /** `auto`, or the precision that was asked for. */
  readonly setting: string;
  /** Fingerprint of the base. */
  readonly fingerprint: string;
  /** Ids of the calibration texts, which depend on the base's tokenizer. */
  readonly inputIds: Int32Array;
  readonly threads: number;
}

/** A choice as JSON, its arrays as base64 of their float32 bytes. */
interface KeptChoice {
  readonly precision: Precision;
  readonly reason: string;
  readonly smoothing?: Readonly<Record<string, string>>;
}

/** Returns the choice of an earlier process on a machine like this one, or else makes it and keeps it for later ones. */
export async function keptChoice(
  cache: EngineCache | null | undefined,
  key: ChoiceKey,
  choose: () => Promise<PrecisionChoice>,
): Promise<PrecisionChoice> {
  const name = nameOf(key);
  const known = await cache?.read(name);
  if (known) return decode(known);
  const choice = await choose();
  await cache?.write(name, encode(choice));
  return choice;
}

/** The processor is part of the name because the speed depends on it. */
function nameOf({ inputIds, ...key }: ChoiceKey): string {
  return sha256(JSON.stringify(['precision', { ...key, inputIds: [...inputIds] }, os.cpus()[0]?.model, ownSources()]));
}

function encode({ smoothing, ...choice }: PrecisionChoice): Uint8Array {
  const arrays =
    smoothing &&
    Object.fromEntries(
      [...smoothing].map(([name, { buffer, byteOffset, byteLength }]) => {
        return [name, Buffer.from(buffer, byteOffset, byteLength).toString('base64')];
      }),
    );
  const kept: KeptChoice = { ...choice, ...(arrays && { smoothing: arrays }) };
  return Buffer.from(JSON.stringify(kept));
}

function decode(bytes: Uint8Array): PrecisionChoice {
  const { smoothing, ...choice } = JSON.parse(Buffer.from(bytes).toString()) as KeptChoice;
  if (!smoothing) return choice;
  const arrays = Object.entries(smoothing).map(
    ([name, text]) => [name, new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer)] as const,
  );
  return { ...choice, smoothing: new Map(arrays) };
}
