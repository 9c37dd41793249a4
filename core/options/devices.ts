/**
 * Way in which a device runs the model's program: `compiled` as one graph on ONNX Runtime, or `eager`, operation by
 * operation on a backend of TensorFlow.js.
 */
export type RuntimeKind = 'compiled' | 'eager';

/** Way in which each device runs the model's program. */
export const RUNTIME_OF = {
  cpu: 'compiled',
  cuda: 'compiled',
  webgpu: 'compiled',
  'tfjs-node': 'eager',
  'tfjs-node-gpu': 'eager',
  'tfjs-wasm': 'eager',
  'tfjs-cpu': 'eager',
} as const satisfies Record<string, RuntimeKind>;

/** Name of a device without the number of a card, such as `cuda`. */
export type DeviceKind = keyof typeof RUNTIME_OF;

/** Name of one of several NVIDIA cards, counted from 0 as nvidia-smi does: `cuda:1` is the second one. */
type CudaCard = `cuda:${number}`;

export type Device = DeviceKind | CudaCard;

/** Device with whose results those of all other devices are compared. It computes in plain JavaScript, and is slow. */
export const REFERENCE = 'tfjs-cpu' satisfies Device;

export type CompiledKind = { [D in DeviceKind]: (typeof RUNTIME_OF)[D] extends 'compiled' ? D : never }[DeviceKind];

export type CompiledDevice = CompiledKind | CudaCard;

export type EagerDevice = Exclude<DeviceKind, CompiledKind>;

/** Name that TensorFlow.js has for the backend of each eager device. */
export const BACKEND_OF: Readonly<Record<EagerDevice, string>> = {
  'tfjs-cpu': 'cpu',
  'tfjs-wasm': 'wasm',
  'tfjs-node': 'tensorflow',
  'tfjs-node-gpu': 'tensorflow',
};

export const DEVICES = Object.keys(RUNTIME_OF) as DeviceKind[];

/** Device that a user chooses by READAPT_DEVICE or `--device`. `auto` leaves the choice to the program. */
export type DeviceChoice = Device | 'auto';

/** Regular expression for a {@link Device}. A card's number has at most three digits and no leading zero. */
const DEVICE_PATTERN = `(${DEVICES.join('|')}|cuda:(0|[1-9]\\d{0,2}))`;

export const DEVICE_CHOICE_PATTERN = `^(auto|${DEVICE_PATTERN})$`;

/** Description of the valid device names, for error messages. */
export const DEVICE_EXPECTED =
  `${DEVICES.slice(0, -1).join(', ')} or ${DEVICES.at(-1)}, ` + 'or cuda:N for one of several cards';

export function isDevice(text: string): text is Device {
  return new RegExp(`^${DEVICE_PATTERN}$`).test(text);
}

export function isEager(device: Device): device is EagerDevice {
  return runtimeOf(device) === 'eager';
}

export function runtimeOf(device: Device): RuntimeKind {
  return RUNTIME_OF[kindOf(device)];
}

/** Returns the name of a device without the number of its card: `cuda` for `cuda:1`. */
export function kindOf<D extends Device>(device: D): Exclude<D, CudaCard> | (D extends CudaCard ? 'cuda' : never) {
  return device.split(':')[0] as ReturnType<typeof kindOf<D>>;
}

/** Returns the number of a device's card: 1 for `cuda:1`, and 0 for a name without a number. */
export function cardOf(device: Device): number {
  return Number(device.split(':')[1] ?? 0);
}
