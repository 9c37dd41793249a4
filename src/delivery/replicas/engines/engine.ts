/** Kind of failure of a request to an engine. */
export type EngineFailure = 'unreachable' | 'timeout' | 'refused' | 'unreadable_answer' | 'stopped';

/** A failed request to an engine. The message may quote the engine's answer, so only the operator may see it. */
export class EngineError extends Error {
  readonly code: EngineFailure;

  constructor(code: EngineFailure, message: string) {
    super(message);
    this.name = 'EngineError';
    this.code = code;
  }
}

/** Models that an engine reports as loaded. */
export interface Listing {
  /** Names and paths that the engine reports for its base model. */
  readonly bases: ReadonlySet<string>;
  /** Path from which each adapter was loaded, by the name under which it is loaded. */
  readonly adapters: ReadonlyMap<string, string>;
}

/** Completion of a prompt. */
export interface Completion {
  readonly text: string;
  /** Natural logarithms of the probabilities of the generated tokens. */
  readonly logprobs: readonly number[];
}

/** Requests to one serving engine about its adapters. All methods throw {@link EngineError}. */
export interface Engine {
  /** Largest number of adapters that may be loaded or unloaded at a time. */
  readonly atOnce: number;
  list(): Promise<Listing>;
  /** Loads the adapter in the folder `path` under a name that is not in use on the engine. */
  load(name: string, path: string): Promise<void>;
  unload(name: string): Promise<void>;
  /**
   * Completes a prompt by a few tokens, always the most probable ones. The adapter with the given name is used or, if
   * `adapter` is null, the base model alone.
   */
  complete(prompt: string, adapter: string | null): Promise<Completion>;
}
