import { useSyncExternalStore } from 'react';

/** Name of the API key in the session storage. The key is gone when the tab is closed. */
const STORED_KEY = 'readapt.key';

export interface Session {
  readonly key: string | null;
  /** `refused` if the service rejected the key of the last session, so that the sign-in page can say so. */
  readonly ended: 'refused' | null;
}

let session: Session = { key: sessionStorage.getItem(STORED_KEY), ended: null };
const listeners = new Set<() => void>();

export function currentSession(): Session {
  return session;
}

export function useSession(): Session {
  return useSyncExternalStore(subscribe, currentSession);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function beginSession(key: string): void {
  sessionStorage.setItem(STORED_KEY, key);
  change({ key, ended: null });
}

export function endSession(ended: Session['ended'] = null): void {
  sessionStorage.removeItem(STORED_KEY);
  change({ key: null, ended });
}

function change(next: Session): void {
  session = next;
  for (const listener of listeners) listener();
}

/**
 * Signs in with the key of a link such as `http://localhost:8420/#key=rdp_…`, which the demo prints, and removes the
 * key from the address. Browsers never send the part after `#` to a server. A tab that is signed in keeps its key, so
 * that no link can replace it.
 */
export function takeKeyFromAddress(): void {
  const key = new URLSearchParams(location.hash.slice(1)).get('key');
  if (key === null) return;
  history.replaceState(history.state, '', location.pathname + location.search);
  if (session.key === null) beginSession(key);
}
