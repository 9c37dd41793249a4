import type { BaseModel } from '../models/base-model.ts';
import { CompiledRuntime, type CompiledRuntimeOptions } from './compiled/compiled-runtime.ts';
import { BACKEND_OF, isEager, type Device } from '../options/devices.ts';
import type { Precision } from '../options/precisions.ts';
import { executionProviderOf } from './devices/execution-provider.ts';
import { checkPrecision } from './devices/precision.ts';
import { EagerRuntime } from './eager/eager-runtime.ts';
import type { Runtime } from './runtime.ts';

export interface RuntimeOptions extends Omit<CompiledRuntimeOptions, 'provider'> {
  readonly base: BaseModel;
  /** Device to compute on; `openDevice` must have opened it. Default: `cpu`. */
  readonly device?: Device | undefined;
  /** Precision of the base's matrices. Default: f32. */
  readonly precision?: Precision | undefined;
}

/**
 * Creates a runtime for one base model; the caller disposes of it.
 * @throws DeviceUnavailableError if the device does not support that precision
 */
export function createRuntime(options: RuntimeOptions): Runtime {
  const { base, device = 'cpu', precision = 'f32', ...others } = options;
  checkPrecision(device, precision);
  if (isEager(device)) return new EagerRuntime(base, BACKEND_OF[device]);
  return new CompiledRuntime(base, { ...others, provider: executionProviderOf(device, precision) });
}
