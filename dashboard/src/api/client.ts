import { createClient, type ReadaptClient } from '@readapt/client';
import { currentSession } from './session.ts';

/**
 * Longest time to retry a request, in milliseconds. It is short, because pages poll anyway, and readers should soon see
 * that the service is down.
 */
const RETRIES = { maxElapsedMs: 3000 };

/** Creates a client of the API that uses the given API key, for example one that is being tried at sign-in. */
export function clientWith(apiKey: string | (() => string)): ReadaptClient {
  return createClient({ baseUrl: location.origin, apiKey, retries: RETRIES });
}

/** Client of the service from which this page was loaded. Each request carries the session's present key. */
export const client = clientWith(() => currentSession().key ?? '');
