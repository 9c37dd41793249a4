import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision, PrecisionSetting } from '../../options/precisions.ts';
import type { JobSpec } from '../job-spec.ts';

/**
 * Name of a version that answers prompts alone: `anchor` is the imported version, `old` the one that is carried over.
 */
export type WriterVersion = 'anchor' | 'old';

/** Adapter version that writes answers to prompts alone, on its own base. */
export interface Writer {
  readonly version: WriterVersion;
  readonly adapter: Adapter;
  /** Precision of the base during the writing, or the setting by which it is chosen. */
  readonly precision: PrecisionSetting;
  /** Loads the base for which this version was made. */
  loadBase(): Promise<LoadedBase>;
}

/**
 * Identity of the answers that a job uses. A resumed job checks by it that its answers are still the same. Plain JSON.
 */
export interface AnswersRecord {
  readonly writer: WriterVersion;
  readonly precision: PrecisionSetting;
  /** Hash of all answers of the job. */
  readonly digest: string;
}

/** Returns the version's name for messages: `the imported version` or `the old version`. */
export function writerName(version: WriterVersion): string {
  return version === 'anchor' ? 'the imported version' : 'the old version';
}

/**
 * Returns the precision in which a version writes answers. It is float32, if memory suffices, in two cases: if the
 * setting is `auto`, since each difference of rounding would count as a disagreement; and if the setting is int8 and
 * the gate is absolute, which judges candidates in float32. In all other cases it is as set.
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
 * Returns the precision for a job whose rows a version has answered: float32 if the job may choose, the answers were
 * written in float32, and memory suffices. Otherwise undefined, so that the precision is chosen for each base.
 */
export function precisionLike(
  { precision }: Pick<Writer, 'precision'>,
  { chooses, memory }: Pick<BaseCache, 'chooses' | 'memory'>,
  config: ModelConfig,
): Precision | undefined {
  return chooses && precision === 'f32' && memory.holdsFloat32(config) ? 'f32' : undefined;
}
