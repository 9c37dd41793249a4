import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../../../..');
const NEEDED = ['torch', 'transformers', 'peft'];
const PACKAGES = [...NEEDED, 'safetensors', 'tokenizers', 'numpy'];
const ALONE = 'Readapt is measured alone';

/** Dependencies of the search for a Python interpreter. */
export interface PythonSearch {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: (line: string) => void;
  /** Runs a command to its end and shows its output. Resolves to false if it fails or does not exist. */
  readonly run: (command: string, args: readonly string[]) => Promise<boolean>;
}

/**
 * Finds a Python interpreter with PyTorch, transformers and PEFT. It takes `READAPT_INTEROP_PYTHON` if that is set.
 * Otherwise it uses the virtual environment `READAPT_INTEROP_VENV` (default: `.venv` of the checkout), makes it if it
 * does not exist, and installs missing packages.
 * @returns the path, or null if there is no interpreter and none can be made; the log says why
 */
export async function ensurePython({ environment, log, run }: PythonSearch): Promise<string | null> {
  const named = environment.READAPT_INTEROP_PYTHON;
  if (named) {
    if (await hasPackages(named, run)) return named;
    log(`READAPT_INTEROP_PYTHON=${named} does not run or lacks one of ${NEEDED.join(', ')}; ${ALONE}`);
    return null;
  }
  const venv = path.resolve(ROOT, environment.READAPT_INTEROP_VENV || '.venv');
  const python = path.join(venv, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  if (existsSync(python) && (await hasPackages(python, run))) return python;
  return (await makeVenv({ venv, python, log, run })) ? python : null;
}

async function makeVenv(
  options: Omit<PythonSearch, 'environment'> & { readonly venv: string; readonly python: string },
): Promise<boolean> {
  const { venv, python, log, run } = options;
  const isRecent = ['-c', 'import sys; sys.exit(sys.version_info < (3, 10))'];
  if (!existsSync(python)) {
    if (!(await run('python3', isRecent))) {
      log(
        `found no python3 of version 3.10 or later; ${ALONE}. Install Python 3, or name one in READAPT_INTEROP_PYTHON`,
      );
      return false;
    }
    log(`making ${venv}`);
    if (!(await run('python3', ['-m', 'venv', venv]))) {
      log(`python3 -m venv ${venv} failed (on Debian it needs the package python3-venv); ${ALONE}`);
      return false;
    }
  }
  log(`installing ${PACKAGES.join(', ')} into ${venv}, a few gigabytes, once`);
  if ((await run(python, ['-m', 'pip', 'install', ...PACKAGES])) && (await hasPackages(python, run))) return true;
  log(`pip could not install ${PACKAGES.join(', ')} into ${venv}; ${ALONE}`);
  return false;
}

function hasPackages(python: string, run: PythonSearch['run']): Promise<boolean> {
  const found = NEEDED.map((name) => `importlib.util.find_spec("${name}")`).join(' and ');
  return run(python, ['-c', `import importlib.util, sys; sys.exit(not (${found}))`]);
}

/** Runs a command with its output on stderr, because the report goes to stdout. */
export function runVisibly(command: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 2, 2] });
    child.on('error', () => resolve(false));
    child.on('exit', (code) => resolve(code === 0));
  });
}
