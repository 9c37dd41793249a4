import { afterEach, expect, it, vi } from 'vitest';
import type { DeviceCheck } from '../../../core/device-check/check-report.ts';
import { checkDevice } from '../../../core/device-check/check-device.ts';
import { checkCases } from '../../../core/device-check/cases.ts';
import { readapt } from '../../unit/cli/support/readapt.ts';

afterEach(() => vi.unstubAllEnvs());

interface Document {
  readonly devices: (DeviceCheck & { benchmark: { model: string; device: object; cpu: object } })[];
}

it.each([
  ['cpu', 'tfjs-cpu'],
  ['tfjs-wasm', 'tfjs-cpu'],
])('readapt devices --check says that %s computes what %s does, and how fast', async (device, reference) => {
  const options = ['--threads', '1', '--batch-seconds', '0.001', '--json'];
  const { code, stdout, stderr } = await readapt('devices', '--check', '--device', device, ...options);
  expect([code, stderr]).toEqual([0, '']);
  const { devices } = JSON.parse(stdout) as Document;
  expect(devices).toMatchObject([
    {
      device,
      reference,
      available: true,
      works: true,
      verdict: expect.stringMatching(/^works: 14 of 14 cases/),
      tf32: null,
    },
  ]);
  const [{ cases, training, benchmark }] = devices as [Document['devices'][0]];
  expect(cases.map(({ name }) => name)).toEqual(checkCases(false).map(({ name }) => name));
  for (const { losses, logits, gradients } of cases)
    for (const value of [losses, logits, gradients]) expect(value).toBeLessThan(1e-4);
  expect(training).toMatchObject({ steps: 5, passed: true });
  const speed = { tokens: 64, ms: expect.any(Number) as number, tokens_per_second: expect.any(Number) as number };
  // Larger batches and the larger model take more than a millisecond.
  expect(benchmark.model).toBe('a Llama of 5 million parameters');
  expect(benchmark.device).toEqual({ forward: [speed], gradients: [speed] });
  expect(benchmark.cpu === null).toBe(device === 'cpu');
});

it('ends with exit code 1 for a device that cannot be used, and says why', async () => {
  vi.stubEnv('CUDA_VISIBLE_DEVICES', '-1');
  const { code, stdout, stderr } = await readapt('devices', '--check', '--device', 'cuda:7', '--json');
  expect([code, stderr]).toEqual([1, 'readapt: the check failed for cuda:7\n']);
  const { devices } = JSON.parse(stdout) as Document;
  expect(devices).toMatchObject([{ device: 'cuda:7', available: false, works: false, cases: [], benchmark: null }]);
  expect(devices[0]!.verdict).toMatch(/^cannot be used: .*CUDA/);
});

it('a check that does not end in time is ended, and says so', async () => {
  const found = await checkDevice('cpu', { threads: 1, timeoutMs: 50 });
  expect(found).toMatchObject({
    available: true,
    works: false,
    verdict: expect.stringMatching(/did not end within 0.05 s/),
  });
});
