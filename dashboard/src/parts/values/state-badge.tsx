import {
  CheckCircledIcon,
  CircleBackslashIcon,
  ClockIcon,
  CrossCircledIcon,
  ExclamationTriangleIcon,
  LapTimerIcon,
  MagnifyingGlassIcon,
  PauseIcon,
  RocketIcon,
  UpdateIcon,
} from '@radix-ui/react-icons';
import { Badge } from '@radix-ui/themes';
import type { ComponentProps, ComponentType } from 'react';

type Tone = 'good' | 'bad' | 'warning' | 'running' | 'waiting' | 'ended';

export const TONE_COLORS = {
  good: 'green',
  bad: 'red',
  warning: 'amber',
  running: 'blue',
  waiting: 'gray',
  ended: 'gray',
} as const satisfies Record<Tone, ComponentProps<typeof Badge>['color']>;

interface Look {
  readonly tone: Tone;
  readonly icon: ComponentType<{ 'aria-hidden'?: boolean }>;
  /** Word for the state on the dashboard (default: the API's word with spaces for underscores). */
  readonly word?: string;
}

/** Colour, icon and word of every state of the API, in the order in which bars show them. */
const LOOKS = {
  // Jobs
  ready: { tone: 'good', icon: CheckCircledIcon },
  evaluating: { tone: 'running', icon: MagnifyingGlassIcon },
  fine_tuning: { tone: 'running', icon: UpdateIcon, word: 'fine-tuning' },
  initializing: { tone: 'running', icon: RocketIcon },
  preparing: { tone: 'running', icon: LapTimerIcon },
  queued: { tone: 'waiting', icon: ClockIcon },
  held: { tone: 'waiting', icon: LapTimerIcon },
  paused: { tone: 'warning', icon: PauseIcon },
  not_ready: { tone: 'warning', icon: ExclamationTriangleIcon, word: 'not ready' },
  failed: { tone: 'bad', icon: CrossCircledIcon },
  cancelled: { tone: 'ended', icon: CircleBackslashIcon },
  // Rollouts
  planning: { tone: 'waiting', icon: ClockIcon },
  analyzing: { tone: 'running', icon: MagnifyingGlassIcon },
  adapting: { tone: 'running', icon: UpdateIcon },
  completed: { tone: 'good', icon: CheckCircledIcon },
  // Base model versions and evolutions
  registered: { tone: 'waiting', icon: ClockIcon },
  verified: { tone: 'good', icon: CheckCircledIcon },
  pending: { tone: 'waiting', icon: ClockIcon },
  // Workers
  draining: { tone: 'warning', icon: PauseIcon },
  quarantined: { tone: 'bad', icon: ExclamationTriangleIcon },
  gone: { tone: 'ended', icon: CircleBackslashIcon },
  // Verdicts of the gate
  passed: { tone: 'good', icon: CheckCircledIcon },
  inconclusive: { tone: 'warning', icon: ExclamationTriangleIcon },
  // Rungs of a ladder
  skipped: { tone: 'ended', icon: CircleBackslashIcon },
  not_run: { tone: 'waiting', icon: ClockIcon, word: 'not run' },
} as const satisfies Record<string, Look>;

export type State = keyof typeof LOOKS;

const isState = (state: string): state is State => Object.hasOwn(LOOKS, state);

/**
 * Returns colour, icon and word of a state. A state that this version of the dashboard does not know gets a neutral
 * look.
 */
export function lookOf(state: string): Look {
  return isState(state) ? LOOKS[state] : { tone: 'waiting', icon: ClockIcon };
}

/** Returns the word for a state: `fine-tuning` for `fine_tuning`. */
export function wordOf(state: string): string {
  return lookOf(state).word ?? state.replaceAll('_', ' ');
}

/** Order of states in bars, the good ones first. */
export const STATE_ORDER: readonly string[] = Object.keys(LOOKS);

/** Badge that shows a state by colour, icon and word, so that nobody depends on colour alone. */
export function StateBadge({ state, size = '2' }: { state: string; size?: '1' | '2' | '3' }) {
  const { tone, icon: Icon } = lookOf(state);
  return (
    <Badge color={TONE_COLORS[tone]} size={size} highContrast className="state-badge">
      <Icon aria-hidden />
      {wordOf(state)}
    </Badge>
  );
}
