import type { RegisteredFleet } from '../../../cli/demo/register-fleet.ts';
import type { EngineCommand, RunningEngine } from '../engines/start-engine.ts';
import type { Answer, Gateway, Pool } from '../gateway.ts';

export interface StoryOptions {
  /** The service's origin, `http://host:port`. */
  readonly origin: string;
  readonly operatorKey: string;
  /** The folder that the service keeps for engines. */
  readonly servingFolder: string;
  readonly command: EngineCommand;
  /** Has the engines that were started: whoever calls stops them. */
  readonly engines: RunningEngine[];
  readonly signal: AbortSignal;
  /** Is told of each thing that should have been seen. */
  saw(what: string, isSeen: boolean): void;
  say(line: string): void;
}

/** What was answered at first, by alias. */
export type Answers = ReadonlyMap<string, Answer>;

/** What the steps after the new base version need. */
export interface Move extends StoryOptions {
  readonly fleet: RegisteredFleet;
  readonly gateway: Gateway;
  /** The pool of the new base. */
  readonly next: Pool;
  readonly before: Answers;
}
