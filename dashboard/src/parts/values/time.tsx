import { Text } from '@radix-ui/themes';
import { useSyncExternalStore } from 'react';
import { exactTime, relativeTime, UNKNOWN } from '../../lib/format.ts';
import { useExactTimes } from '../shell/preferences.ts';

/** One clock for all times of a page, so that a table of them does not have thousands of timers. */
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

/** The present in milliseconds, once a second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

interface TimeProps {
  /** By RFC 3339, as the API has it. */
  readonly value: string | null | undefined;
  /** Shows the exact time beside the relative one, where there is room for it. */
  readonly both?: boolean;
}

/** A time as `3 minutes ago`, or as the date and time where the reader has chosen so; the other form is in its title. */
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
