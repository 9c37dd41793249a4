import type { BaseModel } from '../../models/base-model.ts';
import type { BoundCall } from '../call/bind-call.ts';
import { ProgramRuntime, type ProgramOutputs } from '../call/program-runtime.ts';
import { programKey } from './compiled-runtime.ts';
import { ProgramCache } from './program-cache.ts';
import { StreamedProgram, type StreamOptions } from './streamed-program.ts';

/** Largest number of programs that are cached, each without its weights. */
const MAX_PROGRAMS = 4;

/** Runtime that computes in float32 and reads a base's weights again for every batch, a few layers at a time. */
export class StreamedRuntime extends ProgramRuntime {
  readonly name = 'streamed';
  readonly #options: Omit<StreamOptions, 'weights' | 'rewrite'>;
  readonly #programs = new ProgramCache<StreamedProgram>(MAX_PROGRAMS);
  #latest: Promise<unknown> = Promise.resolve();

  constructor(base: BaseModel, options: Omit<StreamOptions, 'weights' | 'rewrite'>) {
    super(base, 'cpu');
    this.#options = options;
  }

  async dispose(): Promise<void> {
    await this.#latest;
    await this.#programs.clear();
  }

  protected run(call: BoundCall): Promise<ProgramOutputs> {
    const create = () => StreamedProgram.create(call.spec, { ...this.#options, weights: this.base.weights });
    const run = this.#latest.then(async () => (await this.#programs.get(programKey(call.spec), create)).run(call));
    this.#latest = run.catch(() => undefined);
    return run;
  }
}
