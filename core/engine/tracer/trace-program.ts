import { decoderProgram } from '../decoder/program.ts';
import { programInputs, type ProgramSpec } from '../decoder/program-spec.ts';
import { expectedWeights } from '../../models/architecture/architecture.ts';
import type { Graph } from '../graph/graph.ts';
import { isSymbolic, SYMBOLIC_SIZES } from '../graph/symbolic-sizes.ts';
import { trace, traceStages, type TraceStage } from './trace.ts';

/**
 * Traces the decoder's program as a graph for batches of any size.
 * @throws RangeError if one of the model's dimensions is a multiple of a symbolic size
 */
export function traceProgram(spec: ProgramSpec): Graph {
  checkSizes(spec);
  return trace(decoderProgram(spec), programInputs(spec, SYMBOLIC_SIZES), spec);
}

/** Traces like {@link traceProgram}, and returns the graph before and after each pass. */
export function traceProgramStages(spec: ProgramSpec): TraceStage[] {
  checkSizes(spec);
  return traceStages(decoderProgram(spec), programInputs(spec, SYMBOLIC_SIZES), spec);
}

function checkSizes(spec: ProgramSpec): void {
  const clash = expectedWeights(spec.config).find(({ shape }) => shape.some(isSymbolic));
  if (!clash) return;
  const shape = clash.shape.join(', ');
  throw new RangeError(`${clash.name} has shape [${shape}], which the tracer cannot tell from the size of a batch`);
}
