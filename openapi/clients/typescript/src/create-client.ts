import { createClient as createGeneratedClient, createConfig, type Client } from './generated/client/index.ts';
import { errorOf } from './errors.ts';
import { DEFAULT_RETRIES, retryingFetch, type RetryOptions } from './retries.ts';

/** Authorization of requests that no generated operation makes. */
export const SECURITY = [{ scheme: 'bearer', type: 'http' }] as const;

export interface ClientSettings {
  /**
   * Address of the service, for example `https://readapt.example.com`. Empty on a page that the service itself has
   * sent.
   */
  readonly baseUrl: string;
  /** API key (`rdp_…`), or a function that returns it for each request. */
  readonly apiKey: string | (() => string | Promise<string>);
  /** Retry policy. Settings that are not given have the values of {@link DEFAULT_RETRIES}. */
  readonly retries?: Partial<RetryOptions>;
  /** Sends a request once, and aborts it by the signal in its second argument. Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
}

/** Client that every operation takes as its `client`. */
export interface ReadaptClient extends Client {
  /** Sends a request once, without retries. */
  readonly fetchOnce: typeof fetch;
  readonly retries: RetryOptions;
}

/**
 * Creates a client of the API. Its operations throw a {@link ReadaptError}, in particular a {@link ProblemError} with a
 * `code`.
 */
export function createClient({ baseUrl, apiKey, retries, fetch: given }: ClientSettings): ReadaptClient {
  const fetchOnce: typeof fetch = given ?? ((input, init) => globalThis.fetch(input, init));
  const options = { ...DEFAULT_RETRIES, ...retries };
  const client = createGeneratedClient(
    createConfig({
      baseUrl: baseUrl.replace(/\/+$/, ''),
      auth: () => (typeof apiKey === 'string' ? apiKey : apiKey()),
      fetch: retryingFetch(fetchOnce, options),
      throwOnError: true,
    }),
  );
  client.interceptors.error.use((error, response, request) => errorOf(error, response, request));
  return { ...client, fetchOnce, retries: options };
}
