import type { BaseModel } from '../models/base-model.ts';
import { CompiledRuntime, type CompiledRuntimeOptions } from './compiled/compiled-runtime.ts';
import { BACKEND_OF, isEager, type Device, type RuntimeKind } from '../options/devices.ts';
import { checkPrecision } from './devices/precision.ts';
import type { Precision } from '../options/precisions.ts';
import { executionProviderOf } from './devices/execution-provider.ts';
import { EagerRuntime } from './eager/eager-runtime.ts';
import type { Runtime } from './runtime.ts';

/** The device of each kind where none is named: the default device and the reference. */
const DEVICE_OF: Readonly<Record<RuntimeKind, Device>> = { compiled: 'cpu', eager: 'tfjs-cpu' };

export const RUNTIME_KINDS = Object.keys(DEVICE_OF) as RuntimeKind[];

export interface RuntimeOptions extends Omit<CompiledRuntimeOptions, 'provider'> {
  /** What computes; `openDevice` must have opened it. Default: the device of `kind`. */
  readonly device?: Device | undefined;
  /** Chooses the device where none is named: `compiled` means `cpu`, `eager` means `tfjs-cpu`. Default: `compiled`. */
  readonly kind?: RuntimeKind;
  readonly base: BaseModel;
  /** What the base's matrices are kept in. Default: f32. */
  readonly precision?: Precision | undefined;
}

/**
 * Creates a runtime for one base model; the caller disposes of it.
 * @throws DeviceUnavailableError where the device cannot keep the base in that precision
 */
export function createRuntime(options: RuntimeOptions): Runtime {
  const { kind = 'compiled', device = DEVICE_OF[kind], base, precision = 'f32', ...others } = options;
  checkPrecision(device, precision);
  if (isEager(device)) return new EagerRuntime(base, BACKEND_OF[device]);
  return new CompiledRuntime(base, { ...others, provider: executionProviderOf(device, precision) });
}
