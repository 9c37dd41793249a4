/** Cause of a failed request to an engine. */
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

/** Models that an engine has loaded. */
export interface Listing {
  /** Names and paths under which the engine knows its base model. */
  readonly bases: ReadonlySet<string>;
  /** Path of each adapter by the name under which it is loaded. */
  readonly adapters: ReadonlyMap<string, string>;
}

/** Completion of a prompt. */
export interface Completion {
  readonly text: string;
  /** Natural logarithms of the probabilities of the generated tokens. */
  readonly logprobs: readonly number[];
}

/** Endpoints of a serving engine that manage adapters. All methods throw {@link EngineError}. */
export interface Engine {
  /** Number of adapters that may be loaded or unloaded at a time. */
  readonly atOnce: number;
  list(): Promise<Listing>;
  /** Loads an adapter under a name that is not loaded. */
  load(name: string, path: string): Promise<void>;
  unload(name: string): Promise<void>;
  /** Completes a prompt greedily by a few tokens, with an adapter or the base model (null). */
  complete(prompt: string, adapter: string | null): Promise<Completion>;
}
