import { describe, expect, it } from 'vitest';
import type { Device } from '../../../../../core/options/devices.ts';
import { explainFailure } from '../../../../../core/engine/devices/probe/explain-failure.ts';

/** Message that ONNX Runtime 1.30 writes to stderr when its CUDA provider cannot load `library`. */
const providerLog = (library: string): string =>
  '2026-11-25 09:07:09.084254718 [E:onnxruntime:onnxruntime-node, provider_bridge_ort.cc:2146 Create] ' +
  '/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:1988 onnxruntime::Provider& ' +
  'onnxruntime::ProviderLibrary::Get() ' +
  '[ONNXRuntimeError] : 1 : FAIL : Failed to load library /app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/' +
  `libonnxruntime_providers_cuda.so with error: ${library}: cannot open shared object file: No such file or directory`;

const NOT_LOADED = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library';

/** Message that ONNX Runtime throws when the driver finds no card. */
const NO_CARD =
  '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:146 std::conditional_t<THRW, void, ' +
  'onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, ' +
  'const char*, int) [with ERRTYPE = cudaError; bool THRW = true] CUDA failure 100: no CUDA-capable device is ' +
  'detected ; GPU=-1 ; hostname=worker ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/' +
  'cuda_execution_provider.cc ; line=352 ; expr=cudaSetDevice(info_.device_id);';

interface Case {
  readonly device: Device;
  readonly error: string;
  readonly output?: string;
  readonly reason: string;
  readonly hint: RegExp;
}

const CASES: readonly Case[] = [
  {
    device: 'cuda',
    error: NOT_LOADED,
    output: providerLog('libcublasLt.so.13'),
    reason: 'the library libcublasLt.so.13 was not found',
    hint: /install-cuda-provider\.sh/,
  },
  {
    device: 'cuda',
    error: NOT_LOADED,
    output: providerLog('libcuda.so.1'),
    reason: 'there is no NVIDIA driver (libcuda.so.1 was not found)',
    hint: /--gpus all/,
  },
  {
    device: 'cuda',
    error: NO_CARD,
    reason: 'there is no CUDA card that can be used (no CUDA-capable device is detected)',
    hint: /nvidia-smi/,
  },
  {
    device: 'cuda:1',
    error: NO_CARD.replace(
      'CUDA failure 100: no CUDA-capable device is detected',
      'CUDA failure 101: invalid device ordinal',
    ),
    reason: 'CUDA has no card of this number',
    hint: /nvidia-smi lists and CUDA_VISIBLE_DEVICES/,
  },
  {
    device: 'cuda:1',
    error: NO_CARD,
    reason: 'there is no CUDA card that can be used (no CUDA-capable device is detected)',
    hint: /nvidia-smi/,
  },
  {
    device: 'webgpu',
    error: 'Failed to get a WebGPU adapter.',
    reason: 'there is no GPU that WebGPU can use (no adapter)',
    hint: /driver/,
  },
  {
    device: 'tfjs-node-gpu',
    error: 'no GPU in use',
    reason: 'TensorFlow found no GPU and would compute on the CPU',
    hint: /555/,
  },
];

describe('a failure on a device is explained', () => {
  it.each(CASES)('$device: $reason', ({ device, error, output = '', reason, hint }) => {
    expect(explainFailure(device, error, output)).toEqual({ reason, hint: expect.stringMatching(hint) });
  });

  it('says what the device said where nothing more is known', () => {
    expect(explainFailure('cuda', 'out of memory', 'noise')).toEqual({ reason: 'out of memory', hint: null });
    expect(explainFailure('cpu', NO_CARD, providerLog('libcuda.so.1'))).toEqual({ reason: NO_CARD, hint: null });
  });
});
