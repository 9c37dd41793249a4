// Runs `readapt` like a user at a terminal: with a home folder of its own and separate streams.
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { compiledCommand } from '../../compiled/index.ts';
import { eventually } from '../../eventually.ts';

export interface Ended {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Text for standard input, which is then closed. */
  readonly input?: string;
}

export interface Terminal {
  /** Runs a command to its end. */
  run(args: readonly string[], options?: RunOptions): Promise<Ended>;
  /** Runs a command that must exit with 0 and parses its output as JSON. */
  json<T>(...args: string[]): Promise<T>;
  /** Starts a command that keeps running. */
  start(args: readonly string[], options?: RunOptions): Started;
  /** Starts a command on a pseudo-terminal of 100 columns, without typing anything. */
  onPty(args: readonly string[], env?: NodeJS.ProcessEnv): Started;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Waits until standard output or standard error matches. */
  printed(pattern: RegExp): Promise<void>;
}

/** Creates a terminal whose profiles are in `folder`. */
export function createTerminal(folder: string): Terminal {
  const env = environment(folder);
  const terminal: Terminal = {
    start: (args, { env: more = {}, input } = {}) =>
      started(
        spawn(process.execPath, [compiledCommand(), ...args], { cwd: folder, env: { ...env, ...more } }),
        input ?? '',
      ),
    run: (args, options) => terminal.start(args, options).ended,
    async json<T>(...args: string[]): Promise<T> {
      const { code, stdout, stderr } = await terminal.run([...args, '--json']);
      if (code !== 0) throw new Error(`readapt ${args.join(' ')} ended with ${code}:\n${stderr}${stdout}`);
      return JSON.parse(stdout) as T;
    },
    onPty: (args, more = {}) => {
      const line = [process.execPath, compiledCommand(), ...args].map((word) => `'${word}'`).join(' ');
      const command = ['-qefc', `stty cols 100 rows 30; exec ${line}`, '/dev/null'];
      return started(spawn('script', command, { cwd: folder, env: { ...env, TERM: 'xterm-256color', ...more } }));
    },
  };
  return terminal;
}

/** Environment without the variables of the tests' own process that say where to sign in or how to color. */
function environment(folder: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, XDG_CONFIG_HOME: path.join(folder, 'config') };
  for (const name of ['READAPT_URL', 'READAPT_API_KEY', 'NO_COLOR', 'FORCE_COLOR', 'COLORTERM', 'CI']) delete env[name];
  return env;
}

function started(child: ChildProcess, input?: string): Started {
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.on('data', (chunk) => (written[name] += String(chunk)));
  if (input !== undefined) child.stdin?.end(input);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code: signal ?? code ?? -1, ...written }));
  });
  return {
    child,
    ended,
    async printed(pattern) {
      await eventually(`${pattern} is printed`, () => {
        if (child.exitCode !== null && !pattern.test(written.stdout + written.stderr)) {
          throw new Error(`ended with ${child.exitCode} before ${pattern}:\n${written.stderr}${written.stdout}`);
        }
        return Promise.resolve(pattern.test(written.stdout + written.stderr));
      });
    },
  };
}
