/** How a program runs: as a compiled graph on ONNX Runtime, or op by op on a tfjs backend. */
export type RuntimeKind = 'compiled' | 'eager';

/** Every device, and the runtime that runs programs on it. */
export const RUNTIME_OF = {
  cpu: 'compiled',
  cuda: 'compiled',
  webgpu: 'compiled',
  'tfjs-node': 'eager',
  'tfjs-node-gpu': 'eager',
  'tfjs-wasm': 'eager',
  'tfjs-cpu': 'eager',
} as const satisfies Record<string, RuntimeKind>;

/** Something to compute on. */
export type Device = keyof typeof RUNTIME_OF;

/** The device that the others are compared with: plain JavaScript, and slow. */
export const REFERENCE = 'tfjs-cpu' satisfies Device;

export type CompiledDevice = { [D in Device]: (typeof RUNTIME_OF)[D] extends 'compiled' ? D : never }[Device];

export type EagerDevice = Exclude<Device, CompiledDevice>;

/** tfjs' name for the backend of each eager device. */
export const BACKEND_OF: Readonly<Record<EagerDevice, string>> = {
  'tfjs-cpu': 'cpu',
  'tfjs-wasm': 'wasm',
  'tfjs-node': 'tensorflow',
  'tfjs-node-gpu': 'tensorflow',
};

export const DEVICES = Object.keys(RUNTIME_OF) as Device[];

/** The values that READAPT_DEVICE and `--device` accept. */
export type DeviceChoice = Device | 'auto';

export const DEVICE_CHOICES: readonly DeviceChoice[] = ['auto', ...DEVICES];

export function isEager(device: Device): device is EagerDevice {
  return RUNTIME_OF[device] === 'eager';
}
