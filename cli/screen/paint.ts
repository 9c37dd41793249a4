import { styleText } from 'node:util';

export type Color = 'green' | 'yellow' | 'red' | 'blue' | 'gray' | 'bold';

/** Colors a text, or leaves it as it is. */
export type Paint = (color: Color, text: string) => string;

/**
 * Returns the painter for a stream. It adds colors only on a terminal that supports them, and only if NO_COLOR is not
 * set.
 */
export function painterOf(stream: NodeJS.WriteStream): Paint {
  const wanted = (process.env.NO_COLOR ?? '') === '' && stream.isTTY === true && stream.hasColors();
  return wanted ? (color, text) => styleText(color, text, { validateStream: false }) : plain;
}

/** Leaves every text as it is. */
export const plain: Paint = (_color, text) => text;

const COLORS: Readonly<Record<string, Color>> = {
  ready: 'green',
  completed: 'green',
  verified: 'green',
  computed: 'green',
  not_ready: 'yellow',
  paused: 'yellow',
  held: 'yellow',
  draining: 'yellow',
  quarantined: 'red',
  failed: 'red',
  cancelled: 'gray',
  queued: 'gray',
  gone: 'gray',
  planning: 'blue',
  analyzing: 'blue',
  adapting: 'blue',
  preparing: 'blue',
  initializing: 'blue',
  fine_tuning: 'blue',
  evaluating: 'blue',
};

/** Paints the name of a state of a rollout, job, base model version or worker; `shown` is the text to print. */
export function paintState(paint: Paint, state: string, shown = state): string {
  const color = Object.hasOwn(COLORS, state) ? COLORS[state] : undefined;
  return color === undefined ? shown : paint(color, shown);
}
