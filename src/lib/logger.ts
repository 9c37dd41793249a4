import pino, { type Logger } from 'pino';

export type { Logger };

export interface LoggerOptions {
  level: string;
  /** Writes lines for people to read instead of JSON (default: only if the output goes to a terminal). */
  pretty?: boolean;
  /** File descriptor that log lines are written to: 1 for standard output, 2 for standard error (default 2). */
  destination?: 1 | 2;
}

/** Fields of log lines that hold secrets. Their values are replaced by `[redacted]`. */
const REDACTED = [
  'req.headers.authorization',
  'headers.authorization',
  'authorization',
  '*.secret',
  '*.key',
  '*.password',
];

/**
 * Settings of the buffer of log lines. The buffer is written when it is full, every 100 ms and when the process exits.
 * One write for each line would take an eighth of the computing time of an API that clients poll.
 */
const WRITES = { minLength: 8 * 1024, periodicFlush: 100 } as const;

/** Creates the logger of a process. All code in the process logs through this logger or a child of it. */
export function createLogger({ level, pretty, destination = 2 }: LoggerOptions): Logger {
  const stream = destination === 1 ? process.stdout : process.stderr;
  const options = { level, redact: { paths: REDACTED, censor: '[redacted]' } };
  if (pretty ?? stream.isTTY) {
    const transport = {
      target: 'pino-pretty',
      options: { destination, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' },
    };
    return pino({ ...options, transport });
  }
  return pino(options, pino.destination({ dest: destination, sync: false, ...WRITES }));
}
