import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision, PrecisionSetting } from '../../options/precisions.ts';
import type { JobSpec } from '../job-spec.ts';

/** Version that has written answers: the imported one, or the one that is carried over. */
export type WriterVersion = 'anchor' | 'old';

/** Version that answers the prompts of a dataset without answers. */
export interface Writer {
  readonly version: WriterVersion;
  readonly adapter: Adapter;
  /** Precision in which the version computes the answers. */
  readonly precision: PrecisionSetting;
  /** Loads the base that the adapter was made for. */
  loadBase(): Promise<LoadedBase>;
}

/** Identity of the answers that a job uses, so that a resumed job can check that they are the same. Plain JSON. */
export interface AnswersRecord {
  readonly writer: WriterVersion;
  readonly precision: PrecisionSetting;
  /** Hash of the answers. */
  readonly digest: string;
}

/** Name of the version in messages. */
export function writerName(version: WriterVersion): string {
  return version === 'anchor' ? 'the imported version' : 'the old version';
}

/**
 * Precision in which answers are written: float32 if the precision may be chosen and there is memory for it, because
 * each difference of rounding would count as a disagreement, or if the gate judges candidates in float32.
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
 * Precision of a whole job whose rows a version has answered: that of the answers if it may be chosen. Undefined leaves
 * the choice to each base.
 */
export function precisionLike(
  { precision }: Pick<Writer, 'precision'>,
  { chooses, memory }: Pick<BaseCache, 'chooses' | 'memory'>,
  config: ModelConfig,
): Precision | undefined {
  return chooses && precision === 'f32' && memory.holdsFloat32(config) ? 'f32' : undefined;
}
