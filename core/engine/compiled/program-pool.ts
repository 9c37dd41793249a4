import type { ModelConfig } from '../../models/config/model-config.ts';
import type { CompiledProgram } from './compiled-program.ts';
import { ProgramCache } from './program-cache.ts';

/** Programs of a pool that is told no number: 32 for each of two bases. */
const MOST_PROGRAMS = 64;

/**
 * Compiled programs that runtimes share. Weights are inputs of a program, so bases of one config run on the same programs:
 * a base and its next version, or a base and the float32 that it is compared with. A program is released when the last
 * runtime with its config has left, or when it was used longest ago and there are too many.
 */
export class ProgramPool {
  readonly #programs: ProgramCache<CompiledProgram>;
  /** Number of runtimes by their config as JSON. */
  readonly #users = new Map<string, number>();
  /** Ends with the latest call: calls share sessions and their output buffers, so they run one after the other. */
  #latest: Promise<unknown> = Promise.resolve();

  constructor(maxPrograms = MOST_PROGRAMS) {
    this.#programs = new ProgramCache(maxPrograms);
  }

  /** Number of programs that are compiled at the moment. */
  get size(): number {
    return this.#programs.size;
  }

  /** Adds a runtime. Returns the name of its config for {@link run} and {@link leave}. */
  join(config: ModelConfig): string {
    const name = JSON.stringify(config);
    this.#users.set(name, (this.#users.get(name) ?? 0) + 1);
    return name;
  }

  /** Waits for calls that were made, and removes a runtime. */
  async leave(config: string): Promise<void> {
    await this.#latest;
    const users = (this.#users.get(config) ?? 0) - 1;
    if (users > 0) return void this.#users.set(config, users);
    this.#users.delete(config);
    await this.#programs.release((key) => key.startsWith(config));
  }

  /**
   * Uses a program when all earlier calls have ended.
   * @param key tells it from others of its config
   */
  run<T>(
    { config, key }: { readonly config: string; readonly key: string },
    compile: () => Promise<CompiledProgram>,
    use: (program: CompiledProgram) => Promise<T>,
  ): Promise<T> {
    const run = this.#latest.then(async () => use(await this.#programs.get(`${config} ${key}`, compile)));
    this.#latest = run.catch(() => undefined);
    return run;
  }

  /** Waits until all calls that were made have ended. */
  async idle(): Promise<void> {
    await this.#latest;
  }
}
