import type { RegisteredFleet } from '../../../cli/demo/register-fleet.ts';
import type { EngineCommand, RunningEngine } from '../engines/start-engine.ts';
import type { Answer, Gateway, Pool } from '../gateway.ts';

export interface StoryOptions {
  /** The service's origin, `http://host:port`. */
  readonly origin: string;
  readonly operatorKey: string;
  /** Folder that the service keeps for engines. */
  readonly servingFolder: string;
  readonly command: EngineCommand;
  /** List of started engines, which the caller stops. */
  readonly engines: RunningEngine[];
  readonly signal: AbortSignal;
  /** Records whether an expected step was seen. */
  saw(what: string, isSeen: boolean): void;
  say(line: string): void;
}

/** First answers, by alias. */
export type Answers = ReadonlyMap<string, Answer>;

/** Options of the steps that follow the new base version. */
export interface Move extends StoryOptions {
  readonly fleet: RegisteredFleet;
  readonly gateway: Gateway;
  /** The pool of the new base. */
  readonly next: Pool;
  readonly before: Answers;
}
