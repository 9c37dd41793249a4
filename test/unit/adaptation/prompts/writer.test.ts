import { expect, it } from 'vitest';
import { precisionLike, writingPrecision } from '../../../../core/adaptation/prompts/writer.ts';
import type { BaseCache } from '../../../../core/engine/base-cache.ts';
import type { ModelConfig } from '../../../../core/models/config/model-config.ts';
import type { PrecisionSetting } from '../../../../core/options/precisions.ts';

const config = {} as ModelConfig;

/** Precision settings and memory of a machine. */
function machine(precision: PrecisionSetting, holdsFloat32: boolean) {
  const memory = { holdsFloat32: () => holdsFloat32 };
  return { precision, chooses: precision === 'auto', memory } as unknown as BaseCache;
}

it.each([
  // If the precision is chosen automatically, the whole job is computed in float32, given enough memory.
  { setting: 'auto', room: true, kind: 'relative', answers: 'f32', job: 'f32' },
  { setting: 'auto', room: false, kind: 'relative', answers: 'auto', job: undefined },
  { setting: 'auto', room: true, kind: 'absolute', answers: 'f32', job: 'f32' },
  // If a precision is requested, the job uses it, and an absolute gate judges in float32.
  { setting: 'int8', room: true, kind: 'relative', answers: 'int8', job: undefined },
  { setting: 'int8', room: true, kind: 'absolute', answers: 'f32', job: undefined },
  { setting: 'int8', room: false, kind: 'absolute', answers: 'int8', job: undefined },
  { setting: 'f16', room: true, kind: 'absolute', answers: 'f16', job: undefined },
] as const)('bases in $setting, room for float32: $room, gate $kind: answers in $answers', (row) => {
  const { setting, room, kind, answers, job } = row;
  const bases = machine(setting, room);
  const gate = kind === 'absolute' ? { kind, target: 0.9 } : { kind, margin: 0.1 };
  const precision = writingPrecision(bases, config, gate);
  expect(precision).toBe(answers);
  expect(precisionLike({ precision }, bases, config)).toBe(job);
});
