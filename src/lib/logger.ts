import pino, { type Logger } from 'pino';

export type { Logger };

export interface LoggerOptions {
  level: string;
  /** Readable lines instead of JSON (default: when the destination is a terminal). */
  pretty?: boolean;
  /** File descriptor to write to: 1 standard output, 2 standard error (default 2). */
  destination?: 1 | 2;
}

/** What must never reach a log, wherever it stands. */
const REDACTED = [
  'req.headers.authorization',
  'headers.authorization',
  'authorization',
  '*.secret',
  '*.key',
  '*.password',
];

/** The logger of a process. Everything else gets a child of it. */
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
  return pino(options, pino.destination({ dest: destination, sync: false }));
}
