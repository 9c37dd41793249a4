import { useSyncExternalStore } from 'react';

/** Reader's preferences, kept in this browser's local storage. */
interface Preferences {
  readonly appearance: 'system' | 'light' | 'dark';
  readonly exactTimes: boolean;
}

const STORED = 'readapt.preferences';
const DEFAULTS: Preferences = { appearance: 'system', exactTimes: false };
const DARK = matchMedia('(prefers-color-scheme: dark)');

let preferences = read();
const listeners = new Set<() => void>();

/**
 * Whether the system is dark. It is kept here because Chromium tells no listener of a change whose result a script has
 * read before, as a page that renders in that moment would.
 */
let isSystemDark = DARK.matches;
DARK.addEventListener('change', ({ matches }) => {
  isSystemDark = matches;
  tell();
});

function tell(): void {
  for (const listener of listeners) listener();
}

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
  tell();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(subscribe, () => preferences);
}

/** Whether the reader wants times as date and time rather than relative to now. */
export function useExactTimes(): boolean {
  return usePreferences().exactTimes;
}

/** Light or dark appearance: the one that the reader has chosen, or otherwise that of the system. */
export function useAppearance(): 'light' | 'dark' {
  return useSyncExternalStore(subscribe, () => {
    if (preferences.appearance !== 'system') return preferences.appearance;
    return isSystemDark ? 'dark' : 'light';
  });
}
