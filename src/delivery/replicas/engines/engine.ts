/** Why a request to an engine was in vain. */
export type EngineFailure = 'unreachable' | 'timeout' | 'refused' | 'unreadable_answer' | 'stopped';

/** A request to an engine that was in vain. The message may hold an answer's text: it is for the operator alone. */
export class EngineError extends Error {
  readonly code: EngineFailure;

  constructor(code: EngineFailure, message: string) {
    super(message);
    this.name = 'EngineError';
    this.code = code;
  }
}

/** What an engine says that it serves. */
export interface Listing {
  /** The names and paths of the base model. */
  readonly bases: ReadonlySet<string>;
  /** The path of each adapter, by the name under which it is loaded. */
  readonly adapters: ReadonlyMap<string, string>;
}

/** What a model says to a prompt. */
export interface Completion {
  readonly text: string;
  /** Natural logarithms of the probabilities of the tokens that were generated. */
  readonly logprobs: readonly number[];
}

/** The endpoints of a serving engine by which adapters are loaded. All methods throw {@link EngineError}. */
export interface Engine {
  /** How many adapters may be worked on at a time. */
  readonly atOnce: number;
  list(): Promise<Listing>;
  /** Loads an adapter under a name that is not loaded. */
  load(name: string, path: string): Promise<void>;
  unload(name: string): Promise<void>;
  /** Lets an adapter, or the base model (null), complete a prompt greedily by a few tokens. */
  complete(prompt: string, adapter: string | null): Promise<Completion>;
}
