import { createClient as createGeneratedClient, createConfig, type Client } from './generated/client/index.ts';
import { errorOf } from './errors.ts';
import { DEFAULT_RETRIES, retryingFetch, type RetryOptions } from './retries.ts';

/** How requests that no generated operation makes are authorized. */
export const SECURITY = [{ scheme: 'bearer', type: 'http' }] as const;

export interface ClientSettings {
  /** Where the service is, for example `https://readapt.example.com`. Empty, on a page that the service itself has sent. */
  readonly baseUrl: string;
  /** The API key (`rdp_…`), or what gives it for each request. */
  readonly apiKey: string | (() => string | Promise<string>);
  /** How requests are repeated; what is left out has the value of {@link DEFAULT_RETRIES}. */
  readonly retries?: Partial<RetryOptions>;
  /** Sends a request once, which the signal of its second argument ends; the global `fetch` by default. */
  readonly fetch?: typeof fetch;
}

/** What every operation takes as its `client`. */
export interface ReadaptClient extends Client {
  /** Sends a request once, without retries. */
  readonly fetchOnce: typeof fetch;
  readonly retries: RetryOptions;
}

/** Creates a client of the API. Its operations throw a {@link ReadaptError}, among them {@link ProblemError} by `code`. */
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
