import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { DEVICES, runtimeOf, type Device } from '../../../../core/options/devices.ts';
import type { DeviceReport } from '../../../../core/engine/devices/probe/probe.ts';
import { readapt } from '../support/readapt.ts';

let reports: DeviceReport[];
let text: string;

beforeAll(async () => {
  const { code, stdout } = await readapt('devices', '--json');
  expect(code).toBe(0);
  text = stdout;
  reports = (JSON.parse(text) as { devices: DeviceReport[] }).devices;
});
afterEach(() => vi.unstubAllEnvs());

const unavailable = (): Device => reports.find(({ available }) => !available)!.device;

describe('readapt devices', () => {
  it('names the runtime of every device and whether it works', () => {
    expect(reports.map(({ device }) => device)).toEqual(DEVICES);
    for (const { device, runtime, available, reason, hint } of reports) {
      expect(runtime).toBe(runtimeOf(device));
      expect(reason, device).not.toBe('');
      if (available) expect(hint, device).toBeNull();
    }
    const works = (device: Device) => reports.find((each) => each.device === device)!.available;
    expect(['cpu', 'tfjs-wasm', 'tfjs-cpu'].map((device) => works(device as Device))).toEqual([true, true, true]);
  });

  it('prints a table for people', async () => {
    const { code, stdout } = await readapt('devices', '--device', 'cpu');
    expect(code).toBe(0);
    expect(stdout).toMatch(/│ cpu +│ compiled +│ yes +│ a small program and its gradient agree with the reference/);
    expect(stdout).not.toContain('cuda');
  });

  it('ends with exit code 1 for a device that does not work', async () => {
    const { code, stdout, stderr } = await readapt('devices', '--device', unavailable(), '--json');
    expect(code).toBe(1);
    expect(stderr).toBe(`readapt: device ${unavailable()} cannot be used here\n`);
    expect(JSON.parse(stdout)).toMatchObject({ devices: [{ device: unavailable(), available: false }] });
  });

  it('ends with exit code 2 for a device that does not exist', async () => {
    const { code, stderr } = await readapt('devices', '--device', 'tpu');
    expect(code).toBe(2);
    expect(stderr).toContain('tfjs-node-gpu');
  });
});

describe('a command on a device', () => {
  const evaluate = ['eval', '--base', '/nowhere', '--data', '/nowhere.jsonl', '--json'];

  it('is refused if the device does not work, and names what is missing', async () => {
    const { reason } = reports.find(({ device }) => device === unavailable())!;
    for (const variable of [undefined, unavailable()]) {
      if (variable !== undefined) vi.stubEnv('READAPT_DEVICE', variable);
      const { code, stdout } = await readapt(
        ...evaluate,
        ...(variable === undefined ? ['--device', unavailable()] : []),
      );
      expect(code).toBe(2);
      const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
      expect(error.code).toBe('device_unavailable');
      expect(error.message).toContain(`device ${unavailable()} cannot be used: ${reason}`);
    }
  });

  it('treats an unknown device in the variable as a usage error, and a blank variable as unset', async () => {
    vi.stubEnv('READAPT_DEVICE', 'tpu');
    const refused = await readapt(...evaluate);
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringMatching(/'tpu' from env 'READAPT_DEVICE' is invalid.*cuda/),
    ]);
    vi.stubEnv('READAPT_DEVICE', ' ');
    expect((await readapt(...evaluate)).stderr).toContain('/nowhere');
  });
});
