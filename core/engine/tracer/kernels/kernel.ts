import type { Attribute, ElementType } from '../../graph/graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { valueSymbol, type TracedSymbol, type ValueSymbol } from '../symbol.ts';

/** Attributes of an operation, as its tfjs kernel declares them; each trace kernel casts them to their types. */
type KernelAttributes = Readonly<Record<string, unknown>>;

export type KernelInputs = Readonly<Record<string, TracedSymbol>>;

/**
 * Function that stands in for a tfjs kernel: it records the kernel's operation in the graph and returns symbols of its
 * outputs.
 */
export type TraceKernel = (
  graph: GraphBuilder,
  inputs: KernelInputs,
  attributes: KernelAttributes,
) => TracedSymbol | readonly TracedSymbol[];

/** Trace kernels by the names of the tfjs kernels. */
export type KernelTable = Readonly<Record<string, TraceKernel>>;

interface OperatorCall {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly shape: readonly number[];
  readonly type?: ElementType;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly domain?: string;
}

/** Records an operator with one output and returns the name of that output. */
export function emit(graph: GraphBuilder, call: OperatorCall): string {
  const { shape, type = 'float32', ...spec } = call;
  return graph.node({ ...spec, outputs: [{ shape, type }] })[0];
}

/** Records an operator with one output and returns the symbol of that output, the whole tensor. */
export function emitSymbol(graph: GraphBuilder, call: OperatorCall): ValueSymbol {
  return valueSymbol(graph, emit(graph, call));
}

/**
 * Returns a kernel's input.
 * @throws Error for a missing input, which is an error in the kernel table rather than in the program
 */
export function required(inputs: KernelInputs, name: string): TracedSymbol {
  const symbol = inputs[name];
  if (!symbol) throw new Error(`a traced kernel was called without its input ${name}`);
  return symbol;
}
