import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const LOCAL = path.join(import.meta.dirname, '../../.venv/bin/python');

/**
 * The interpreter with PyTorch, transformers and PEFT: `READAPT_INTEROP_PYTHON`, else `.venv`.
 * @returns null where there is none, after saying so
 */
export async function findPython(log: (line: string) => void): Promise<string | null> {
  const python = process.env.READAPT_INTEROP_PYTHON || (existsSync(LOCAL) ? LOCAL : null);
  const howTo = 'python3 -m venv .venv && .venv/bin/pip install torch transformers peft, or READAPT_INTEROP_PYTHON=/path/to/python';
  if (python === null) {
    log(`no Python: Readapt is measured alone. To compare it with PyTorch: ${howTo}`);
    return null;
  }
  try {
    const modules = ['torch', 'transformers', 'peft'].map((name) => `importlib.util.find_spec("${name}") or exit("${name}")`);
    await promisify(execFile)(python, ['-c', `import importlib.util; ${modules.join('; ')}`]);
    return python;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    log(`${python} lacks or fails: ${stderr?.trim() || message}. Readapt is measured alone. To compare: ${howTo}`);
    return null;
  }
}
