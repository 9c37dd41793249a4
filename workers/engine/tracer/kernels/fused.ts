import type { KernelTable } from './kernel.ts';

/** Operators that ONNX Runtime has in one piece and tfjs does not; see `workers/engine/fused-ops.ts`. */
export const fusedKernels: KernelTable = {};
