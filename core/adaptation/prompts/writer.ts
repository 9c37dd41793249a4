import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision, PrecisionSetting } from '../../options/precisions.ts';
import type { JobSpec } from '../job-spec.ts';

/** Which version has written answers: the imported one, or the one that is carried over. */
export type WriterVersion = 'anchor' | 'old';

/** A version whose answers stand for those that prompts alone lack. */
export interface Writer {
  readonly version: WriterVersion;
  readonly adapter: Adapter;
  /** In what it computes the answers. */
  readonly precision: PrecisionSetting;
  /** Loads the base that the adapter is for. */
  loadBase(): Promise<LoadedBase>;
}

/** Says which answers a job goes by, so that one that is resumed can tell whether it goes by the same. Plain JSON. */
export interface AnswersRecord {
  readonly writer: WriterVersion;
  readonly precision: PrecisionSetting;
  /** Hash of the answers. */
  readonly digest: string;
}

/** What a message calls the version. */
export function writerName(version: WriterVersion): string {
  return version === 'anchor' ? 'the imported version' : 'the old version';
}

/**
 * The precision in which answers are written: float32 where a choice is left and there is memory for it, because each difference
 * of rounding would count as a disagreement, and where the gate judges candidates in float32.
 */
export function writingPrecision(
  { precision, memory }: Pick<BaseCache, 'precision' | 'memory'>,
  config: ModelConfig,
  gate: JobSpec['gate'],
): PrecisionSetting {
  const isExact = precision === 'auto' || (precision === 'int8' && gate.kind === 'absolute');
  return isExact && memory.holdsFloat32(config) ? 'f32' : precision;
}

/** The precision of a whole job that goes by answers: theirs where it is left to choose; undefined leaves the choice to each base. */
export function precisionLike(
  { precision }: Pick<Writer, 'precision'>,
  { chooses, memory }: Pick<BaseCache, 'chooses' | 'memory'>,
  config: ModelConfig,
): Precision | undefined {
  return chooses && precision === 'f32' && memory.holdsFloat32(config) ? 'f32' : undefined;
}
