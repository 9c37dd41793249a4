import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision, PrecisionSetting } from '../../options/precisions.ts';
import type { JobSpec } from '../job-spec.ts';

/**
 * Version that answers prompts alone: the anchor, which is the imported version, or the old one, which is carried over.
 */
export type WriterVersion = 'anchor' | 'old';

/** Version that answers the prompts of a dataset without answers. */
export interface Writer {
  readonly version: WriterVersion;
  readonly adapter: Adapter;
  /** Precision in which the version's answers are computed. */
  readonly precision: PrecisionSetting;
  /** Loads the base that this version was made for. */
  loadBase(): Promise<LoadedBase>;
}

/** Identity of the answers that a job uses, so that a resumed job can check that they are the same. Plain JSON. */
export interface AnswersRecord {
  readonly writer: WriterVersion;
  readonly precision: PrecisionSetting;
  /** Hash of all answers. */
  readonly digest: string;
}

/** Returns the version's name for messages: `the imported version` or `the old version`. */
export function writerName(version: WriterVersion): string {
  return version === 'anchor' ? 'the imported version' : 'the old version';
}

/**
 * Returns the precision in which answers are written. It is float32, if memory suffices, in two cases: the precision
 * may be chosen, since each difference of rounding would count as a disagreement; or it is int8 and the gate is
 * absolute, which judges candidates in float32. In all other cases it is the set precision.
 */
export function writingPrecision(
  { precision, memory }: Pick<BaseCache, 'precision' | 'memory'>,
  config: ModelConfig,
  gate: JobSpec['gate'],
): PrecisionSetting {
  const isExact = precision === 'auto' || (precision === 'int8' && gate.kind === 'absolute');
  return isExact && memory.holdsFloat32(config) ? 'f32' : precision;
}

/**
 * Returns the precision of a job whose rows a version has answered: float32 if the precision may be chosen, the answers
 * were written in float32, and memory suffices. Otherwise undefined, which leaves the choice to each base.
 */
export function precisionLike(
  { precision }: Pick<Writer, 'precision'>,
  { chooses, memory }: Pick<BaseCache, 'chooses' | 'memory'>,
  config: ModelConfig,
): Precision | undefined {
  return chooses && precision === 'f32' && memory.holdsFloat32(config) ? 'f32' : undefined;
}
