import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../../src/platform/config/config.ts';
import { chooseDevice } from '../../../../core/engine/devices/choose-device.ts';
import { DEVICES, runtimeOf, type Device } from '../../../../core/options/devices.ts';
import { PRECISIONS, type Precision } from '../../../../core/options/precisions.ts';
import type { DeviceReport } from '../../../../core/engine/devices/probe/probe.ts';

/** Makes a probe that reports exactly these devices as available. */
function probeOf(...working: Device[]) {
  const asked: string[] = [];
  const probe = async (device: Device, { precision }: { precision: Precision }): Promise<DeviceReport> => {
    asked.push(precision === 'f32' ? device : `${device} ${precision}`);
    const available = working.includes(device);
    const [reason, hint] = available ? ['it agrees', null] : ['no card', 'buy one'];
    return { device, runtime: runtimeOf(device), package: 'some-package', available, reason, hint };
  };
  return { probe, asked };
}

describe('auto', () => {
  it('takes CUDA where it works', async () => {
    expect(await chooseDevice('auto', probeOf('cuda', 'webgpu'))).toEqual({ device: 'cuda', reason: 'it agrees' });
  });

  it('takes the CPU elsewhere, says why, and asks about nothing else', async () => {
    const { probe, asked } = probeOf('webgpu', 'tfjs-node-gpu');
    expect(await chooseDevice('auto', { probe })).toEqual({ device: 'cpu', reason: 'cuda cannot be used: no card' });
    expect(asked).toEqual(['cuda']);
  });
});

describe('a device that was asked for', () => {
  it.each(['cuda', 'webgpu', 'tfjs-node', 'tfjs-node-gpu', 'tfjs-wasm'] as const)(
    '%s is taken if it works',
    async (device) => {
      expect(await chooseDevice(device, probeOf(device))).toEqual({ device, reason: 'asked for; it agrees' });
    },
  );

  it.each(['cuda', 'webgpu', 'tfjs-node', 'tfjs-node-gpu', 'tfjs-wasm'] as const)(
    '%s is never replaced',
    async (device) => {
      await expect(chooseDevice(device, probeOf('cpu'))).rejects.toMatchObject({
        code: 'device_unavailable',
        badInput: true,
        message: `device ${device} cannot be used: no card (buy one)`,
      });
    },
  );

  it.each(['cpu', 'tfjs-cpu'] as const)('%s needs no probe', async (device) => {
    const { probe, asked } = probeOf();
    expect(await chooseDevice(device, { probe })).toMatchObject({ device });
    expect(asked).toEqual([]);
  });
});

describe('float16', () => {
  const precision = 'f16';

  it('is probed where a device has it', async () => {
    const { probe, asked } = probeOf('cuda', 'webgpu');
    expect(await chooseDevice('auto', { precision, probe })).toMatchObject({ device: 'cuda' });
    expect(await chooseDevice('webgpu', { precision, probe })).toMatchObject({ device: 'webgpu' });
    expect(asked).toEqual(['cuda f16', 'webgpu f16']);
  });

  it.each(['auto', 'cpu', 'tfjs-node', 'tfjs-node-gpu', 'tfjs-wasm', 'tfjs-cpu'] as const)(
    'is refused by %s',
    async (choice) => {
      const device = choice === 'auto' ? 'cpu' : choice;
      const reason = 'it does not keep the base in f16 (precision f16 is for cuda and webgpu)';
      const message = `device ${device} cannot be used: ${reason}`;
      await expect(
        chooseDevice(choice, { precision, ...probeOf('tfjs-node', 'tfjs-node-gpu', 'tfjs-wasm') }),
      ).rejects.toThrow(message);
    },
  );
});

it.each(PRECISIONS)('READAPT_PRECISION=%s is a setting of the service', (precision) => {
  expect(loadConfig({ READAPT_PRECISION: precision }).precision).toBe(precision);
});

it.each(['auto', ...DEVICES, 'cuda:0', 'cuda:15'])('READAPT_DEVICE=%s is a setting of the service', (choice) => {
  expect(loadConfig({ READAPT_DEVICE: choice }).device).toBe(choice);
});
