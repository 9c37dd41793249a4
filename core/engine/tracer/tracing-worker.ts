/**
 * Entry of the tracing thread: traces requested programs and sends their encoded graphs back. The specification and
 * graph of the last program are kept, so that programs that differ only in precision or observed operands are traced
 * once.
 */
import { isDeepStrictEqual } from 'node:util';
import { parentPort } from 'node:worker_threads';
import type { ProgramSpec } from '../decoder/program-spec.ts';
import { executionProviderOf, OBSERVING_PROVIDER } from '../devices/execution-provider.ts';
import type { Graph } from '../graph/graph.ts';
import { encodeSplitModel } from '../onnx/encode-model.ts';
import { traceProgram } from './trace-program.ts';
import type { TraceAnswer, TraceRequest } from './tracing-thread.ts';

let last: { readonly spec: ProgramSpec; readonly graph: Graph } | null = null;

parentPort!.on('message', (request: TraceRequest) => parentPort!.postMessage(answer(request)));

function answer({ key, spec, precision, observes }: TraceRequest): TraceAnswer {
  try {
    if (last === null || !isDeepStrictEqual(last.spec, spec)) last = { spec, graph: traceProgram(spec) };
    const provider = observes ? OBSERVING_PROVIDER : executionProviderOf('cpu', precision);
    const { model, externalData } = encodeSplitModel(provider.rewrite(last.graph));
    return { key, model: externalData.length === 0 ? model : null };
  } catch {
    return { key, model: null };
  }
}
