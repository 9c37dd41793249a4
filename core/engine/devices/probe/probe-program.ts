import * as ort from '../../compiled/onnx-runtime.ts';
import * as tf from '@tensorflow/tfjs';
import { rmsNorm } from '../../decoder/rms-norm.ts';
import { createSession, modelFor } from '../../compiled/create-session.ts';
import { selectBackend } from '../../eager/select-backend.ts';
import type { ValueInfo } from '../../graph/graph.ts';
import { trace } from '../../tracer/trace.ts';
import { BACKEND_OF, isEager, type CompiledDevice, type Device, type EagerDevice } from '../../../options/devices.ts';
import { openDevice } from '../open-device.ts';
import type { Precision } from '../../../options/precisions.ts';
import { executionProviderOf } from '../execution-provider.ts';

const SIZES = { rows: 6, width: 16, columns: 8 };

const INPUTS: readonly ValueInfo[] = [
  { name: 'x', shape: [SIZES.rows, SIZES.width], type: 'float32' },
  { name: 'norm', shape: [SIZES.width], type: 'float32' },
  { name: 'w', shape: [SIZES.columns, SIZES.width], type: 'float32' },
];

/**
 * Loss Σ softmax(rmsNorm(x) Wᵀ)² with its gradients by x and W: a product, its gradients on either side, and the one
 * normalization whose gradient WebGPU gets wrong in ONNX Runtime's own operator.
 */
function program(inputs: Readonly<Record<string, tf.Tensor>>): Record<string, tf.Tensor> {
  const norm = inputs['norm'] as tf.Tensor1D;
  const loss = (x: tf.Tensor, w: tf.Tensor): tf.Scalar => {
    const product = tf.matMul(rmsNorm(x as tf.Tensor2D, norm, 1e-5), w, false, true);
    return tf.softmax(product).square().sum() as tf.Scalar;
  };
  const { value, grads } = tf.valueAndGrads(loss)([inputs['x']!, inputs['w']!]);
  return { loss: value, dx: grads[0]!, dw: grads[1]! };
}

type Numbers = Readonly<Record<string, Float32Array>>;

/** Numbers in [−1, 1] without a pattern, the same every time. */
function inputValues(): Numbers {
  const values = (size: number, phase: number) =>
    Float32Array.from({ length: size }, (_, i) => Math.sin(phase + i * i));
  return Object.fromEntries(
    INPUTS.map(({ name, shape }, at) => [
      name,
      values(
        shape.reduce((a, b) => a * b),
        at,
      ),
    ]),
  );
}

/**
 * Largest difference to the reference, relative to the largest number of each output, that counts as equal. int8 is for
 * the matrices of layers, of which this program has none.
 */
export const PROBE_TOLERANCE: Readonly<Record<Precision, number>> = { f32: 1e-4, f16: 2e-3, int8: 1e-4 };

/**
 * Runs a small program on a device and compares loss and gradients with tfjs' `cpu` backend.
 * @returns the largest relative difference
 * @throws Error where the device cannot run it or gives other numbers
 */
export async function runProbe(device: Device, precision: Precision = 'f32'): Promise<number> {
  const found = isEager(device) ? await runEager(device) : await runCompiled(device, precision);
  const expected = runOnBackend('cpu');
  const errors = Object.entries(expected).map(([name, values]) => relativeDifference(found[name]!, values));
  const worst = errors.some(Number.isNaN) ? NaN : Math.max(...errors);
  const tolerance = PROBE_TOLERANCE[precision];
  if (worst <= tolerance) return worst;
  throw new Error(
    `its numbers are wrong: off by ${worst.toExponential(1)} of the largest, expected at most ${tolerance}`,
  );
}

async function runCompiled(device: CompiledDevice, precision: Precision): Promise<Numbers> {
  const provider = executionProviderOf(device, precision);
  const providers = ort.listSupportedBackends().map(({ name }) => name);
  if (!providers.includes(provider.name)) {
    const platform = `${process.platform} ${process.arch}`;
    throw new Error(
      `ONNX Runtime's package for Node has no ${provider.name} provider on ${platform}, only ${providers.join(', ')}`,
    );
  }
  await openDevice(device);
  const values = inputValues();
  const weights = new Map([['w', values['w']!]]);
  const session = await createSession(modelFor(provider, trace(program, INPUTS), weights), { provider });
  const bound = INPUTS.filter(({ name }) => session.inputNames.includes(name));
  const feeds = bound.map(({ name, shape }) => [name, new ort.Tensor('float32', values[name]!, shape)]);
  const outputs = await session.run(Object.fromEntries(feeds));
  const numbers = Object.entries(outputs).map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)]);
  await session.release();
  return Object.fromEntries(numbers);
}

async function runEager(device: EagerDevice): Promise<Numbers> {
  await openDevice(device);
  const numbers = runOnBackend(BACKEND_OF[device]);
  if (device === 'tfjs-node-gpu' && !usesGpu()) throw new Error('no GPU in use');
  return numbers;
}

function usesGpu(): boolean {
  return (tf.backend() as { isUsingGpuDevice?: boolean }).isUsingGpuDevice === true;
}

function runOnBackend(backend: string): Numbers {
  selectBackend(backend);
  const values = inputValues();
  const numbers: Record<string, Float32Array> = {};
  tf.tidy(() => {
    const tensors = INPUTS.map(({ name, shape }) => [name, tf.tensor(values[name]!, [...shape], 'float32')]);
    for (const [name, tensor] of Object.entries(program(Object.fromEntries(tensors)))) {
      numbers[name] = tensor.dataSync<'float32'>().slice();
    }
  });
  return numbers;
}

function relativeDifference(found: Float32Array, expected: Float32Array): number {
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, index) => Math.abs(value - found[index]!) / scale));
}
