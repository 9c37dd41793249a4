import { afterEach, expect, it, vi } from 'vitest';
import * as ort from '../../../../core/engine/compiled/onnx-runtime.ts';
import { createSession } from '../../../../core/engine/compiled/create-session.ts';
import { executionProviderOf } from '../../../../core/engine/devices/execution-provider.ts';
import type { CompiledDevice } from '../../../../core/options/devices.ts';

afterEach(() => vi.restoreAllMocks());

it.each<[CompiledDevice, unknown]>([
  ['cpu', 'cpu'],
  ['webgpu', 'webgpu'],
  ['cuda', { name: 'cuda', deviceId: 0 }],
  ['cuda:3', { name: 'cuda', deviceId: 3 }],
])('a session on %s names its provider and its card', async (device, expected) => {
  const create = vi.spyOn(ort.InferenceSession, 'create').mockResolvedValue({} as ort.InferenceSession);
  const provider = executionProviderOf(device);
  await createSession({ model: new Uint8Array(), externalData: [] }, { provider });
  expect(create.mock.calls[0]![1]).toMatchObject({ executionProviders: [expected] });
});
