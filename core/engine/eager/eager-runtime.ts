import type { Adapter } from '../../models/lora/adapter.ts';
import type { BaseModel } from '../../models/base-model.ts';
import type { ProgramKind } from '../decoder/program-spec.ts';
import { bindCall, checkCall, gradientResult, type ProgramCall } from '../call/bind-call.ts';
import type { EagerProgram } from './eager-program.ts';
import type { Batch, Dropout, GradientResult, Runtime } from '../runtime.ts';

type Outputs = (name: string) => Float32Array;

/** Runs the program op by op on a backend of tfjs. On `cpu` it is slow, and the reference for everything else. */
export class EagerRuntime implements Runtime {
  readonly name = 'eager';
  readonly base: BaseModel;
  readonly #backend: string;
  /** tfjs is loaded with the first call: processes that compute otherwise never load it. */
  #program: Promise<EagerProgram> | null = null;

  /** @param backend tfjs' name of it; one other than `cpu` has to be loaded already */
  constructor(base: BaseModel, backend = 'cpu') {
    this.base = base;
    this.#backend = backend;
  }

  async labelLosses(adapter: Adapter | null, batch: Batch): Promise<Float32Array> {
    return (await this.#run('labelLosses', { adapter, batch }))('losses');
  }

  async gradients(adapter: Adapter, batch: Batch, gradientScale: number, dropout?: Dropout): Promise<GradientResult> {
    return gradientResult(adapter, await this.#run('gradients', { adapter, batch, gradientScale, dropout }));
  }

  async logits(adapter: Adapter | null, batch: Batch): Promise<Float32Array> {
    return (await this.#run('logits', { adapter, batch }))('logits');
  }

  async dispose(): Promise<void> {
    const program = await this.#program?.catch(() => null);
    this.#program = null;
    program?.dispose();
  }

  async #run(kind: ProgramKind, call: Omit<ProgramCall, 'gradientScale'> & Partial<ProgramCall>): Promise<Outputs> {
    const { adapter, batch, gradientScale = 1, dropout } = call;
    checkCall(this.base, adapter, batch);
    const bound = bindCall(this.base, kind, { adapter, batch, gradientScale, dropout });
    const outputs = (await (this.#program ??= this.#load())).run(bound);
    return (name) => outputs.get(name)!;
  }

  async #load(): Promise<EagerProgram> {
    const { EagerProgram } = await import('./eager-program.ts');
    return new EagerProgram(this.base.weights, this.#backend);
  }
}
