import { WeightPool } from '../../formats/hugging-face/weight-pool.ts';
import type { BaseModel } from '../../models/base-model.ts';
import type { BoundCall } from '../call/bind-call.ts';
import type { ProgramOutputs } from '../call/program-runtime.ts';
import { programInputs, type ProgramSpec } from '../decoder/program-spec.ts';
import { CPU_PROVIDER } from '../devices/execution-provider.ts';
import { cutGraph } from '../graph/cut-graph.ts';
import type { Graph } from '../graph/graph.ts';
import { encodeSplitModel } from '../onnx/encode-model.ts';
import { createSession } from './create-session.ts';
import * as ort from './onnx-runtime.ts';

export interface StreamOptions {
  readonly weights: BaseModel['weights'];
  readonly threads: number;
  /**
   * Largest total size in bytes of the weights that are in memory at the same time; a single larger weight may exceed
   * it.
   */
  readonly weightBytes: number;
  /** Function that rewrites the traced graph. Default: the graph stays as traced. */
  readonly rewrite?: (graph: Graph) => Graph;
}

interface Stage {
  readonly session: ort.InferenceSession;
  /**
   * Names of the stage's inputs that can be released after the stage, because no later stage reads them and they are
   * not outputs of the program.
   */
  readonly done: readonly string[];
}

/**
 * A float32 program for a base whose weights do not fit in memory at once. It is cut into stages of a few layers; each
 * run reads a stage's weights, computes, and releases them.
 */
export class StreamedProgram {
  readonly outputNames: readonly string[];
  readonly #stages: readonly Stage[];
  readonly #spec: ProgramSpec;
  readonly #weights: BaseModel['weights'];
  #computeMs = 0;

  private constructor(spec: ProgramSpec, weights: BaseModel['weights'], stages: readonly Stage[], outputs: string[]) {
    this.#spec = spec;
    this.#weights = weights;
    this.#stages = stages;
    this.outputNames = outputs;
  }

  static async create(spec: ProgramSpec, options: StreamOptions): Promise<StreamedProgram> {
    const { weights, threads, weightBytes, rewrite = (graph) => graph } = options;
    const { traceProgram } = await import('../tracer/trace-program.ts');
    const graph = rewrite(traceProgram(spec));
    const graphs = cutGraph(graph, (name) => weights.has(name), weightBytes);
    const outputs = graph.outputs.map(({ name }) => name);
    const stages: Stage[] = [];
    for (const [index, stage] of graphs.entries()) {
      const session = await createSession(encodeSplitModel(stage), { provider: CPU_PROVIDER, threads });
      const later = new Set([
        ...graphs.slice(index + 1).flatMap(({ inputs }) => inputs.map(({ name }) => name)),
        ...outputs,
      ]);
      stages.push({ session, done: stage.inputs.map(({ name }) => name).filter((name) => !later.has(name)) });
    }
    return new StreamedProgram(spec, weights, stages, outputs);
  }

  /** Computing time of the latest run in milliseconds, without the time to read weights. */
  get computeMs(): number {
    return this.#computeMs;
  }

  async run({ data, sizes }: BoundCall): Promise<ProgramOutputs> {
    const values = new Map<string, ort.Tensor>();
    for (const { name, shape, type } of programInputs(this.#spec, sizes)) {
      const given = data.get(name);
      if (given) values.set(name, new ort.Tensor(type as 'float32', given as Float32Array, shape));
    }
    this.#computeMs = 0;
    const pool = new WeightPool(this.#weights);
    for (const stage of this.#stages) await this.#runStage(stage, values, pool);
    return (name) => {
      const output = values.get(name);
      if (!output) throw new Error(`the streamed program has no output ${name}`);
      return (output.data as Float32Array).slice();
    };
  }

  async release(): Promise<void> {
    for (const { session } of this.#stages) await session.release();
  }

  async #runStage({ session, done }: Stage, values: Map<string, ort.Tensor>, pool: WeightPool): Promise<void> {
    const feeds: Record<string, ort.Tensor> = {};
    for (const name of session.inputNames) feeds[name] = values.get(name) ?? acquireTensor(pool, name);
    const begun = performance.now();
    const outputs = await session.run(feeds);
    this.#computeMs += performance.now() - begun;
    pool.release();
    for (const name of session.outputNames) values.set(name, outputs[name]!);
    for (const name of done) values.delete(name);
  }
}

function acquireTensor(pool: WeightPool, name: string): ort.Tensor {
  const weight = pool.acquire(name);
  if (!weight) throw new Error(`nothing is bound to the streamed program's input ${name}`);
  return new ort.Tensor('float32', weight.data, weight.shape);
}
