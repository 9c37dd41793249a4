import { createClient, type ReadaptClient } from '@readapt/client';
import { currentSession } from './session.ts';

/**
 * Retry limit of a request. It is short, because pages poll anyway, and readers should soon see that the service is
 * down.
 */
const RETRIES = { maxElapsedMs: 3000 };

/** Client with the given API key, for example one that is being tried at sign-in. */
export function clientWith(apiKey: string | (() => string)): ReadaptClient {
  return createClient({ baseUrl: location.origin, apiKey, retries: RETRIES });
}

/** Client of the service that served this page. Each request carries the session's present key. */
export const client = clientWith(() => currentSession().key ?? '');
