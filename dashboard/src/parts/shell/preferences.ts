import { useSyncExternalStore } from 'react';

/** What a reader has chosen for this browser. Nothing of it is secret. */
interface Preferences {
  readonly appearance: 'system' | 'light' | 'dark';
  readonly exactTimes: boolean;
}

const STORED = 'readapt.preferences';
const DEFAULTS: Preferences = { appearance: 'system', exactTimes: false };
const DARK = matchMedia('(prefers-color-scheme: dark)');

let preferences = read();
const listeners = new Set<() => void>();

function read(): Preferences {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(STORED) ?? '{}') as Partial<Preferences>) };
  } catch {
    return DEFAULTS;
  }
}

export function prefer(change: Partial<Preferences>): void {
  preferences = { ...preferences, ...change };
  localStorage.setItem(STORED, JSON.stringify(preferences));
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  DARK.addEventListener('change', listener);
  return () => {
    listeners.delete(listener);
    DARK.removeEventListener('change', listener);
  };
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(subscribe, () => preferences);
}

/** Whether times are shown as dates first, in place of how long ago they were. */
export function useExactTimes(): boolean {
  return usePreferences().exactTimes;
}

/** Light or dark, as the reader or his system has it. */
export function useAppearance(): 'light' | 'dark' {
  return useSyncExternalStore(subscribe, () => {
    if (preferences.appearance !== 'system') return preferences.appearance;
    return DARK.matches ? 'dark' : 'light';
  });
}
