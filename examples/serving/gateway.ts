import { isProblem, resolveName, type ReadaptClient } from '../../openapi/clients/typescript/src/index.ts';
import type { RunningEngine } from './engines/start-engine.ts';

/** Engines that serve one base model version: one here, many in production. */
export interface Pool {
  readonly baseModelVersionId: string;
  readonly engine: RunningEngine;
  /** Time at which the engine was added to the service, by `Date.now()`. */
  readonly addedAt: number;
}

export interface Answer {
  readonly text: string;
  readonly pool: string;
  /** Engine name of the version that has answered. */
  readonly name: string;
}

/**
 * Example of a gateway. It resolves an alias on the newest base first, and sends the request on under the engine name.
 * If no version is current there, or the engine has not loaded it yet, the previous pool answers.
 */
export class Gateway {
  /** Requests that were answered, and those that no pool could answer. */
  readonly counts = { answered: 0, unanswered: 0 };
  readonly #client: ReadaptClient;
  readonly #pools: readonly Pool[];

  /** @param client with a key of the scope `serving:read` @param pools the newest base first */
  constructor(client: ReadaptClient, pools: readonly Pool[]) {
    this.#client = client;
    this.#pools = pools;
  }

  async ask(alias: string, prompt: string): Promise<Answer | null> {
    for (const { baseModelVersionId, engine } of this.#pools) {
      const name = await this.#resolve(alias, baseModelVersionId);
      const text = name === null ? null : await engine.ask(name, prompt);
      if (name === null || text === null) continue;
      this.counts.answered += 1;
      return { text, pool: engine.servingName, name };
    }
    this.counts.unanswered += 1;
    return null;
  }

  async #resolve(alias: string, baseModelVersionId: string): Promise<string | null> {
    const query = { name: alias, base_model_version: baseModelVersionId };
    try {
      return (await resolveName({ client: this.#client, query })).name;
    } catch (error) {
      if (isProblem(error, 'no_current_version')) return null;
      throw error;
    }
  }
}
