import type { ExecutionProvider } from '../devices/execution-provider.ts';
import type { Graph } from '../graph/graph.ts';
import { bindConstants } from '../graph/passes/bind-constants.ts';
import { encodeSplitModel, type SplitModel } from '../onnx/encode-model.ts';
import * as ort from './onnx-runtime.ts';

interface SessionSettings {
  readonly provider: ExecutionProvider;
  /** Number of threads of one operator on the CPU. Default: ONNX Runtime's. */
  readonly threads?: number;
  readonly profileFilePrefix?: string | undefined;
}

/**
 * Time in microseconds that idle threads of a session spin before they sleep. Without spinning, a thread that is woken
 * to compute half of an operator is often scheduled on the core of the thread that has woken it, so that the two halves
 * run one after the other. On two idle cores, forward passes of an int8 base then took 370 ms instead of 170 in most
 * runs. There, values from 20 to 200 are equally good; at 1000, sessions that run in turn occupy each other's cores. If
 * another process keeps a core busy, spinning costs up to a fifth.
 */
const SPIN_US = '20';

export const SPINNING = { intra_op: { allow_spinning: '1', spin_duration_us: SPIN_US } };

/**
 * Options of every session. ONNX Runtime's memory arena is off: an arena keeps the peak of activations of each session
 * separately, while all sessions share the process heap, which is as fast. ONNX Runtime's graph optimizations are off,
 * because Readapt's own passes leave nothing to gain (measured on the CPU), and because they would merge operations
 * that are repeated on purpose to save memory.
 */
const SESSION_OPTIONS: ort.InferenceSession.SessionOptions = {
  executionMode: 'sequential',
  graphOptimizationLevel: 'disabled',
  enableMemPattern: false,
  enableCpuMemArena: false,
  extra: { session: SPINNING },
};

/** Options that silence ONNX Runtime's warning that shape operators run on the CPU, which is intended. */
const ACCELERATOR_OPTIONS: ort.InferenceSession.SessionOptions = { logSeverityLevel: 3 };

/** Makes the graph that {@link graphFor} returns for the same arguments, and encodes it as an ONNX model. */
export function modelFor(
  provider: ExecutionProvider,
  traced: Graph,
  weights: ReadonlyMap<string, Float32Array>,
): SplitModel {
  return encodeSplitModel(graphFor(provider, traced, weights));
}

/**
 * Rewrites a traced graph for an execution provider.
 * @param weights inputs with constant values; they become constants if the provider's sessions keep weights
 */
export function graphFor(
  provider: ExecutionProvider,
  traced: Graph,
  weights: ReadonlyMap<string, Float32Array>,
): Graph {
  return provider.rewrite(provider.keepsWeights ? bindConstants(traced, weights) : traced);
}

/** Creates an inference session from an encoded graph. */
export async function createSession(
  { model, externalData }: SplitModel,
  settings: SessionSettings,
): Promise<ort.InferenceSession> {
  const { provider, threads, profileFilePrefix } = settings;
  return ort.InferenceSession.create(model, {
    ...SESSION_OPTIONS,
    ...(provider.name === 'cpu' ? {} : ACCELERATOR_OPTIONS),
    externalData,
    // ONNX Runtime's binding for Node passes only the card's number on to CUDA.
    executionProviders: [provider.name === 'cuda' ? { name: 'cuda', deviceId: provider.card } : provider.name],
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    ...(profileFilePrefix !== undefined && { enableProfiling: true, profileFilePrefix }),
  });
}
