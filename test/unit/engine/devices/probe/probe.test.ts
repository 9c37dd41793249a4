import * as tf from '@tensorflow/tfjs';
import { afterEach, describe, expect, it } from 'vitest';
import { probeDevice } from '../../../../../core/engine/devices/probe/probe.ts';
import { runProbe } from '../../../../../core/engine/devices/probe/probe-program.ts';
import { loadBackend } from '../../../../../core/engine/devices/tfjs/tfjs-backends.ts';

describe('the probe', () => {
  it.each(['cpu', 'tfjs-wasm'] as const)('finds that %s works', async (device) => {
    expect(await probeDevice(device)).toMatchObject({
      device,
      available: true,
      reason: expect.stringMatching(/^a small program and its gradient agree with the reference to \de-[5-9]$/),
      hint: null,
    });
  });

  it('takes a process that hangs for a device that does not work', async () => {
    const { available, reason } = await probeDevice('cpu', { timeoutMs: 1 });
    expect([available, reason]).toEqual([false, 'its probe did not end within 1 ms']);
  });

  it('takes a process that dies for a device that does not work', async () => {
    const env = { ...process.env, NODE_OPTIONS: '--max-old-space-size=4' };
    const { available, reason } = await probeDevice('cpu', { env });
    expect([available, reason]).toEqual([false, expect.stringMatching(/^its probe died \(SIG/)]);
  });
});

describe('a device that computes, but wrong,', () => {
  const original = async () => {
    await loadBackend('tfjs-wasm');
    return tf.getKernel('Softmax', 'wasm');
  };
  const replaceSoftmax = (kernelFunc: tf.KernelFunc) => {
    tf.unregisterKernel('Softmax', 'wasm');
    tf.registerKernel({ kernelName: 'Softmax', backendName: 'wasm', kernelFunc });
  };
  let restore = (): void => undefined;
  afterEach(() => restore());

  it.each([
    ['a little', 1.001, /^its numbers are wrong: off by \d\.\de-3 of the largest, expected at most 0\.0001$/],
    ['not finite', NaN, /^its numbers are wrong: off by NaN/],
  ])('does not work (%s)', async (_how, factor, message) => {
    const { kernelFunc } = await original();
    restore = () => replaceSoftmax(kernelFunc);
    replaceSoftmax((call) => {
      const result = kernelFunc(call) as tf.TensorInfo;
      const tensor = tf.engine().makeTensorFromTensorInfo(result);
      return tf.mul(tensor, factor);
    });
    await expect(runProbe('tfjs-wasm')).rejects.toThrow(message);
  });
});
