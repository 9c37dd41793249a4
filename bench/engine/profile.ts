import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { inputData, programShape, type ProgramCall } from '../../workers/engine/bindings.ts';
import { encodeModel } from '../../workers/engine/onnx/encode-model.ts';
import { trace } from '../../workers/engine/tracer/trace.ts';
import type { Adapter } from '../../workers/models/adapter.ts';
import type { BaseModel } from '../../workers/models/base-model.ts';
import { decoderProgram, programInputs } from '../../workers/models/decoder/program.ts';
import type { OperatorSeconds } from './side-protocol.ts';

interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  /** Microseconds. */
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

/**
 * ONNX Runtime's own profile of the gradients' graph, with the runtime's session options but for profiling.
 * @returns seconds a step by operator; the first run is left out
 */
export async function profileStep(
  base: BaseModel,
  call: ProgramCall & { readonly adapter: Adapter },
  { steps, threads }: { readonly steps: number; readonly threads: number },
): Promise<OperatorSeconds> {
  const folder = await mkdtemp(path.join(tmpdir(), 'readapt-profile-'));
  try {
    const shape = programShape(call.adapter, call.batch);
    const graph = trace(decoderProgram(base.config, 'gradients', shape), programInputs(base.config, 'gradients', shape));
    const data = inputData(base, call);
    const feeds = graph.inputs.map(({ name, shape, type }) => {
      const values = base.weights.get(name)?.data ?? data.get(name)!;
      return [name, new ort.Tensor(type as 'float32', values as Float32Array, shape)] as const;
    });
    const session = await ort.InferenceSession.create(encodeModel(graph), {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'all',
      enableMemPattern: false,
      enableCpuMemArena: false,
      intraOpNumThreads: threads,
      enableProfiling: true,
      profileFilePrefix: path.join(folder, 'profile'),
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
    for (let i = 0; i <= steps; i++) await session.run(Object.fromEntries(feeds));
    session.endProfiling();
    await session.release();
    const [file] = await readdir(folder);
    return sumByOperator(JSON.parse(await readFile(path.join(folder, file!), 'utf8')) as ProfileEvent[], steps);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Kernel times of the last `steps` runs, by operator, a run. */
export function sumByOperator(events: readonly ProfileEvent[], steps: number): OperatorSeconds {
  const kernels = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
  const perRun = kernels.length / (steps + 1);
  const seconds: Record<string, number> = {};
  for (const { args, dur } of kernels.slice(perRun)) {
    const operator = args?.op_name ?? 'unknown';
    seconds[operator] = (seconds[operator] ?? 0) + dur / 1e6 / steps;
  }
  return seconds;
}
