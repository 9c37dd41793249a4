import { createClient, type ReadaptClient } from '@readapt/client';
import { currentSession } from './session.ts';

/** For how long a request is repeated. Pages ask again by themselves, so a reader hears soon that there is no answer. */
const RETRIES = { maxElapsedMs: 3000 };

/** A client with a key that is not that of the session yet. */
export function clientWith(apiKey: string | (() => string)): ReadaptClient {
  return createClient({ baseUrl: location.origin, apiKey, retries: RETRIES });
}

/** The client of the service that has served this page. Each request has the key of the session. */
export const client = clientWith(() => currentSession().key ?? '');
