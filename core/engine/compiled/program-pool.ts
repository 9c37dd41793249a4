import type { ModelConfig } from '../../models/config/model-config.ts';
import type { CompiledProgram } from './compiled-program.ts';
import { ProgramCache } from './program-cache.ts';

/** Default capacity of a pool: 32 programs for each of two bases. */
const MAX_PROGRAMS = 64;

/**
 * Pool of compiled programs that runtimes share. Weights are inputs of a program, so bases of one config run on the
 * same programs: a base and its next version, or an int8 base and its float32 form for comparison. A program is
 * released when the last runtime with its config leaves, or when it is the least recently used one of too many.
 */
export class ProgramPool {
  readonly #programs: ProgramCache<CompiledProgram>;
  /** Number of runtimes that use each base config; the key is the config as JSON. */
  readonly #users = new Map<string, number>();
  /**
   * Promise that resolves after the latest call. Calls share sessions and their output buffers, so they run one after
   * another.
   */
  #latest: Promise<unknown> = Promise.resolve();

  constructor(maxPrograms = MAX_PROGRAMS) {
    this.#programs = new ProgramCache(maxPrograms);
  }

  /** Number of currently compiled programs. */
  get size(): number {
    return this.#programs.size;
  }

  /** Adds a runtime. Returns the name of its config for {@link run} and {@link leave}. */
  join(config: ModelConfig): string {
    const name = JSON.stringify(config);
    this.#users.set(name, (this.#users.get(name) ?? 0) + 1);
    return name;
  }

  /** Removes a runtime from the pool after its pending calls have ended. */
  async leave(config: string): Promise<void> {
    await this.#latest;
    const users = (this.#users.get(config) ?? 0) - 1;
    if (users > 0) return void this.#users.set(config, users);
    this.#users.delete(config);
    await this.#programs.release((key) => key.startsWith(config));
  }

  /**
   * Uses a program after all earlier calls have ended.
   * @param key distinguishes the program from others of its config
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

  /** Waits until all pending calls have ended. */
  async idle(): Promise<void> {
    await this.#latest;
  }
}
