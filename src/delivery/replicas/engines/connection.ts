import { storable } from '../../../../core/options/quote.ts';
import { SETTINGS } from '../../../platform/config/settings.ts';
import type { Send, SendResult } from '../../../platform/outgoing/post.ts';
import { resolveByDns, type Resolve } from '../../../platform/outgoing/target.ts';
import { EngineError } from './engine.ts';

/**
 * Largest number of bytes that are read of an engine's answer to a request for the list of adapters. A list of 20,000
 * adapters fits, with the permissions that vLLM adds to each of them.
 */
export const MAX_LIST = 32 * 1024 * 1024;

/**
 * Largest number of bytes that are read of an engine's answer to any request except those for the list of adapters. A
 * completion has only eight tokens, and of the answer to a load request only the status and the first characters
 * matter.
 */
export const MAX_ANSWER = 64 * 1024;

/** Largest number of characters of an engine's answer quoted in an error. */
const MAX_QUOTED = 300;

/** Address and credentials of an engine. */
export interface EngineAddress {
  readonly url: string;
  readonly apiKey: string | null;
  /** Name by which the engine knows the base model. */
  readonly servingName: string;
}

export interface ConnectionOptions {
  /** Sends the requests for lists of loaded adapters. */
  readonly get: Send;
  /** Sends the requests that load or unload adapters or complete prompts. Its timeout is longer than that of `get`. */
  readonly post: Send;
  /** Signal that aborts all requests to the engine. */
  readonly signal: AbortSignal;
  /** Called after each request with its operation, its outcome, and its time in milliseconds, for metrics. */
  readonly observe?: (operation: string, outcome: string, latencyMs: number) => void;
}

/** Connection to one engine. `get` and `post` throw {@link EngineError}. */
export interface Connection {
  get(path: string): Promise<unknown>;
  /** Sends JSON to a path of the engine. @returns the text of the answer */
  post(path: string, body: object): Promise<string>;
}

/** Resolves host names by DNS, except `localhost`, which needs none. */
export const resolveReplica: Resolve = (name, signal) =>
  name === 'localhost' ? Promise.resolve(['127.0.0.1', '::1']) : resolveByDns(name, signal);

export function connectToEngine(
  { url, apiKey }: EngineAddress,
  { get, post, signal, observe }: ConnectionOptions,
): Connection {
  const headers: Record<string, string> = apiKey === null ? {} : { authorization: `Bearer ${apiKey}` };
  async function ask(path: string, body: object | null): Promise<string> {
    const target = `${url.replace(/\/+$/, '')}${path}`;
    const text = body === null ? null : JSON.stringify(body);
    const result = await (text === null ? get : post)({ url: target, headers, body: text, signal });
    const error = problemOf(result, path, apiKey);
    observe?.(path.slice(path.lastIndexOf('/') + 1), error?.code ?? 'ok', result.latencyMs);
    if (error !== null) throw error;
    return (result as { body: string }).body;
  }
  return {
    get: async (path) => parse(await ask(path, null), path),
    post: (path, body) => ask(path, body),
  };
}

/** Parses an engine's answer as JSON. @throws EngineError if the text is not JSON */
export function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new EngineError('unreadable_answer', `the answer to ${path} is not JSON: ${quote(text)}`);
  }
}

/**
 * Makes the error of a failed request, with the beginning of the engine's answer; null if the request succeeded.
 * @param apiKey key that is removed from the message, because an engine or its proxy may echo it
 */
function problemOf(result: SendResult, path: string, apiKey: string | null): EngineError | null {
  if ('failure' in result) {
    if (result.failure === 'aborted') return new EngineError('stopped', 'the service was stopped meanwhile');
    if (result.failure === 'timeout') return new EngineError('timeout', `${path} did not answer in time`);
    const why =
      result.failure === 'no_allowed_address'
        ? `its name is not found, or leads to an address that ${SETTINGS.replicaAllowedRanges.variable} does not allow`
        : 'the connection failed';
    return new EngineError('unreachable', `${path} cannot be reached: ${why}`);
  }
  if (result.status >= 200 && result.status < 300) return null;
  const answer = apiKey === null ? result.body : result.body.replaceAll(apiKey, '[api_key]');
  return new EngineError('refused', `${path} answered ${result.status}: ${quote(answer)}`);
}

function quote(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return storable(line.length > MAX_QUOTED ? `${line.slice(0, MAX_QUOTED)}…` : line);
}
