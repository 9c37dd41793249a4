import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingCudaProvider } from '../../../../../core/engine/devices/probe/requirements.ts';

let onnxRuntime: string;

beforeAll(async () => {
  onnxRuntime = await mkdtemp(path.join(tmpdir(), 'readapt-onnxruntime-'));
  await mkdir(path.join(onnxRuntime, 'bin/napi-v6/linux/x64'), { recursive: true });
  await writeFile(path.join(onnxRuntime, 'bin/napi-v6/linux/x64/libonnxruntime.so.1'), '');
});
afterAll(() => rm(onnxRuntime, { recursive: true }));

describe('the CUDA provider', () => {
  it.each([
    ['darwin', 'arm64'],
    ['linux', 'arm64'],
    ['win32', 'x64'],
  ])('does not exist for %s %s', (platform, arch) => {
    const obstacle = missingCudaProvider({ platform, arch, onnxRuntime });
    expect(obstacle).toEqual({ reason: expect.stringContaining(`this is ${platform} ${arch}`), hint: null });
  });

  it('is missing until its library lies beside the runtime', async () => {
    const here = { platform: 'linux', arch: 'x64', onnxRuntime };
    expect(missingCudaProvider(here)).toEqual({
      reason: "ONNX Runtime's CUDA provider is not installed (no libonnxruntime_providers_cuda.so)",
      hint: 'run scripts/install-cuda-provider.sh',
    });
    await writeFile(path.join(onnxRuntime, 'bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so'), '');
    expect(missingCudaProvider(here)).toBeNull();
  });
});
