import type { ExecutionProvider } from '../devices/execution-provider.ts';
import type { Graph } from '../graph/graph.ts';
import { bindConstants } from '../graph/passes/bind-constants.ts';
import { encodeSplitModel, type SplitModel } from '../onnx/encode-model.ts';
import * as ort from './onnx-runtime.ts';

interface SessionSettings {
  readonly provider: ExecutionProvider;
  /** Threads of one operator that runs on the CPU. Default: ONNX Runtime's. */
  readonly threads?: number;
  readonly profileFilePrefix?: string | undefined;
}

/**
 * Microseconds for which a session's idle threads look for work before they sleep. Without this, the thread that is woken
 * for the other half of an operator is often put on the core of the one that wakes it, and the halves run one after the
 * other: forward passes of an int8 base took 370 ms in place of 170 in most runs on two idle cores. Values from 20 to 200
 * are equally good there; at 1000, sessions that run in turn burn each other's cores. Where another process keeps a core
 * busy, spinning costs up to a fifth.
 */
const SPIN_US = '20';

export const SPINNING = { intra_op: { allow_spinning: '1', spin_duration_us: SPIN_US } };

/**
 * No arena: every session would keep its own peak of activations, while the process heap is shared by all of them at
 * the same speed. No optimization: the passes leave nothing to gain (measured on the CPU), and ONNX Runtime would
 * merge what is computed again on purpose.
 */
const SESSION_OPTIONS: ort.InferenceSession.SessionOptions = {
  executionMode: 'sequential',
  graphOptimizationLevel: 'disabled',
  enableMemPattern: false,
  enableCpuMemArena: false,
  extra: { session: SPINNING },
};

/** Silences the warning that operators on shapes run on the CPU, which they should. */
const ACCELERATOR_OPTIONS: ort.InferenceSession.SessionOptions = { logSeverityLevel: 3 };

/** Encodes what {@link graphFor} returns for the same arguments. */
export function modelFor(
  provider: ExecutionProvider,
  traced: Graph,
  weights: ReadonlyMap<string, Float32Array>,
): SplitModel {
  return encodeSplitModel(graphFor(provider, traced, weights));
}

/**
 * Rewrites a traced graph for an execution provider.
 * @param weights inputs whose values stay as they are; they become constants if the provider's sessions keep weights
 */
export function graphFor(
  provider: ExecutionProvider,
  traced: Graph,
  weights: ReadonlyMap<string, Float32Array>,
): Graph {
  return provider.rewrite(provider.keepsWeights ? bindConstants(traced, weights) : traced);
}

/** Creates an inference session of an encoded graph. */
export async function createSession(
  { model, externalData }: SplitModel,
  settings: SessionSettings,
): Promise<ort.InferenceSession> {
  const { provider, threads, profileFilePrefix } = settings;
  return ort.InferenceSession.create(model, {
    ...SESSION_OPTIONS,
    ...(provider.name === 'cpu' ? {} : ACCELERATOR_OPTIONS),
    externalData,
    // The number of the card is all that ONNX Runtime's binding for Node passes on to CUDA.
    executionProviders: [provider.name === 'cuda' ? { name: 'cuda', deviceId: provider.card } : provider.name],
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    ...(profileFilePrefix !== undefined && { enableProfiling: true, profileFilePrefix }),
  });
}
