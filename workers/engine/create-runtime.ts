import type { BaseModel } from '../models/base-model.ts';
import { CompiledRuntime, type CompiledRuntimeOptions } from './compiled-runtime.ts';
import { EagerRuntime } from './eager-runtime.ts';
import type { Runtime } from './runtime.ts';

export const RUNTIME_KINDS = ['compiled', 'eager'] as const;

export type RuntimeKind = (typeof RUNTIME_KINDS)[number];

export interface RuntimeOptions extends CompiledRuntimeOptions {
  /** `compiled` (ONNX Runtime, the default) or `eager` (tfjs `cpu`, the reference). */
  readonly kind?: RuntimeKind;
  readonly base: BaseModel;
}

/** A runtime for one base model; the caller disposes of it. */
export function createRuntime({ kind = 'compiled', base, ...options }: RuntimeOptions): Runtime {
  switch (kind) {
    case 'compiled':
      return new CompiledRuntime(base, options);
    case 'eager':
      return new EagerRuntime(base);
  }
}
