import type { BaseModel } from '../../models/base-model.ts';
import type { BoundCall } from '../call/bind-call.ts';
import { ProgramRuntime, type ProgramOutputs } from '../call/program-runtime.ts';
import type { EagerProgram } from './eager-program.ts';

/**
 * Runs programs op by op on a tfjs backend. On `cpu` this is slow; it serves as the reference for all other devices.
 */
export class EagerRuntime extends ProgramRuntime {
  readonly name = 'eager';
  readonly #backend: string;
  /**
   * Promise of the base's program, made at the first call, so that a process without eager computations never loads
   * tfjs.
   */
  #program: Promise<EagerProgram> | null = null;

  /** @param backend tfjs' name of the backend; any except `cpu` must have been loaded before */
  constructor(base: BaseModel, backend = 'cpu') {
    super(base, 'tfjs-cpu');
    this.#backend = backend;
  }

  async dispose(): Promise<void> {
    const program = await this.#program?.catch(() => null);
    this.#program = null;
    program?.dispose();
  }

  protected async run(call: BoundCall): Promise<ProgramOutputs> {
    const program = await (this.#program ??= this.#load());
    return program.run(call);
  }

  async #load(): Promise<EagerProgram> {
    const { EagerProgram } = await import('./eager-program.ts');
    return new EagerProgram(this.base.weights, this.#backend);
  }
}
