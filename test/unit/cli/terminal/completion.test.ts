import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readapt } from '../support/readapt.ts';

const run = promisify(execFile);
const has = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-completion-'));
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout } = await readapt('completion', shell);
    expect(code).toBe(0);
    await writeFile(path.join(folder, shell), stdout);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Candidates of a shell for the last word of a line. */
type Complete = (...words: string[]) => Promise<string[]>;

const SHELLS: Readonly<Record<'bash' | 'zsh' | 'fish', Complete>> = {
  bash: async (...words) => {
    const script = `source ${folder}/bash; COMP_WORDS=(readapt "$@"); COMP_CWORD=$#; _readapt
printf '%s\\n' "\${COMPREPLY[@]}"`;
    return lines((await run('bash', ['-c', script, 'bash', ...words])).stdout);
  },
  // Stubs of zsh's own functions print the candidates that fit.
  zsh: async (...words) => {
    const script = `compdef() { : }
_describe() { [[ $1 == -o ]] && shift; local each; for each in \${(P)2}; do print -r -- "\${each%%:*}"; done }
compadd() { shift; print -rl -- "$@" }
_files() { print -r -- "(files $*)" }
_message() { : }
source ${folder}/zsh; words=(readapt "$@"); CURRENT=$#words; _readapt`;
    const { stdout } = await run('zsh', ['-f', '-c', script, 'zsh', ...words]);
    return lines(stdout).filter((word) => word.startsWith(words.at(-1) ?? '') || word.startsWith('(files'));
  },
  fish: async (...words) => {
    const line = ['readapt', ...words].join(' ');
    const { stdout } = await run('fish', ['--no-config', '-c', `source ${folder}/fish; complete -C '${line}'`]);
    return lines(stdout).map((entry) => entry.split('\t')[0] ?? '');
  },
};

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

describe.each(['bash', 'zsh', 'fish'] as const)('completion in %s', (shell) => {
  const complete = SHELLS[shell];

  it.skipIf(!has(shell))('offers commands and those below them', async () => {
    expect(await complete('rol')).toEqual(['rollout']);
    const below = await complete('rollout', '');
    expect(below).toEqual(expect.arrayContaining(['create', 'ls', 'watch', 'approve', 'rollback']));
    expect(below).not.toContain('serve');
    expect(await complete('base-versions', 'reg')).toEqual(['register']);
  });

  it.skipIf(!has(shell))(
    'offers the options of the command alone, also those that are made when it is chosen',
    async () => {
      expect(await complete('rollout', 'create', '--until')).toEqual(['--until-waiting']);
      expect(await complete('rollout', 'create', '--max-st')).toEqual(['--max-steps']);
      expect(await complete('rebase', '--non-inf')).toEqual(['--non-inferior']);
      expect(await complete('rollout', 'ls', '--until')).toEqual([]);
    },
  );

  it.skipIf(!has(shell))('offers the choices of an option and of an argument', async () => {
    expect(await complete('rollout', 'create', '--priority', '')).toEqual(
      expect.arrayContaining(['high', 'normal', 'low']),
    );
    expect(await complete('rollout', 'create', '--watch', '--strategy', 'war')).toEqual(['warm-start']);
    expect(await complete('completion', 'f')).toContain('fish');
  });
});
