import { Text } from '@radix-ui/themes';
import { useSyncExternalStore } from 'react';
import { exactTime, relativeTime, UNKNOWN } from '../../lib/format.ts';
import { useExactTimes } from '../shell/preferences.ts';

/**
 * Interval of the page's shared clock, in milliseconds. A timer for each time would mean thousands of timers in a
 * table.
 */
const TICK_MS = 1000;
let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Present time in milliseconds, updated once a second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

interface TimeProps {
  /** Time to show, in the API's format (RFC 3339). */
  readonly value: string | null | undefined;
  /** Whether the exact and the relative time are both shown, for places with enough room. */
  readonly both?: boolean;
}

/** Shows a time as `3 minutes ago`, or as date and time if the reader prefers that. The tooltip has the other form. */
export function Time({ value, both = false }: TimeProps) {
  const exactFirst = useExactTimes();
  if (value === null || value === undefined) return <>{UNKNOWN}</>;
  return <KnownTime value={value} both={both} exactFirst={exactFirst} />;
}

function KnownTime({ value, both, exactFirst }: { value: string; both: boolean; exactFirst: boolean }) {
  const present = useNow();
  const time = new Date(value);
  const [exact, relative] = [exactTime(time), relativeTime(time, present)];
  const [shown, other] = exactFirst ? [exact, relative] : [relative, exact];
  return (
    <time dateTime={value} title={other} className="figures">
      {shown}
      {both && <Text color="gray"> ({other})</Text>}
    </time>
  );
}
