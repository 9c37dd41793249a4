import type { BaseModel } from '../models/base-model.ts';
import { CompiledRuntime, type CompiledRuntimeOptions } from './compiled/compiled-runtime.ts';
import { BACKEND_OF, isEager, type Device, type RuntimeKind } from '../options/devices.ts';
import { checkPrecision } from './devices/precision.ts';
import type { Precision } from '../options/precisions.ts';
import { executionProviderOf } from './devices/execution-provider.ts';
import { EagerRuntime } from './eager/eager-runtime.ts';
import type { Runtime } from './runtime.ts';

/** The device that stands for each kind where none is named: the default, and the reference. */
const DEVICE_OF: Readonly<Record<RuntimeKind, Device>> = { compiled: 'cpu', eager: 'tfjs-cpu' };

export const RUNTIME_KINDS = Object.keys(DEVICE_OF) as RuntimeKind[];

export interface RuntimeOptions extends Omit<CompiledRuntimeOptions, 'provider'> {
  /** What computes; `openDevice` has to have opened it. Default: `cpu`. */
  readonly device?: Device | undefined;
  /** Says it by the runtime alone: `compiled` is `cpu`, `eager` is `tfjs-cpu`. */
  readonly kind?: RuntimeKind;
  readonly base: BaseModel;
  /** Of the base's matrices. Default: f32. f16 is for `cuda` and `webgpu`. */
  readonly precision?: Precision | undefined;
}

/**
 * A runtime for one base model; the caller disposes of it.
 * @throws DeviceUnavailableError where the device does not keep the base in that precision
 */
export function createRuntime(options: RuntimeOptions): Runtime {
  const { kind = 'compiled', device = DEVICE_OF[kind], base, precision = 'f32', ...others } = options;
  checkPrecision(device, precision);
  if (isEager(device)) return new EagerRuntime(base, BACKEND_OF[device]);
  return new CompiledRuntime(base, { ...others, provider: executionProviderOf(device, precision) });
}
