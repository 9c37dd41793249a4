/**
 * Which folder may import which: the one table that `npm run lint` enforces (through .dependency-cruiser.cjs) and that
 * docs/architecture.md prints. `node scripts/import-rules.cjs --write FILE` puts the table into a document, between two
 * comments; `--check FILE` fails if the document prints another one.
 */
const { readFileSync, writeFileSync } = require('node:fs');

/** Folder, what it is, and the folders that it may import besides itself. From the bottom to the top. */
const FOLDERS = [
  ['core/options', 'every option of a job, its type, range, default and help; metrics, gates, devices, precisions', []],
  ['core/installation', 'where the package keeps its files, and child processes from sources or from `dist/`', []],
  ['core/statistics', 'distributions, paired comparisons, the seeded random generator', []],
  ['core/linalg', 'matrices and their factorizations', ['core/statistics']],
  [
    'core/models',
    'what a base model and a LoRA adapter are; the table of architectures',
    ['core/linalg', 'core/statistics', 'core/options'],
  ],
  [
    'core/formats',
    'files: safetensors, Hugging Face folders, PEFT folders, tokenizers, datasets',
    ['core/models', 'core/options'],
  ],
  [
    'core/engine',
    'the decoder program, tracing it to ONNX, running it on a device',
    ['core/formats', 'core/models', 'core/linalg', 'core/statistics', 'core/options', 'core/installation'],
  ],
  [
    'core/data',
    'rows as tokens and batches, and the metrics measured on them',
    ['core/engine', 'core/formats', 'core/models', 'core/statistics', 'core/options'],
  ],
  [
    'core/method/evolution',
    'what changed between two bases, and advice on it',
    [
      'core/method',
      'core/formats',
      'core/models',
      'core/linalg',
      'core/statistics',
      'core/options',
      'core/installation',
    ],
  ],
  [
    'core/method/fusion',
    'an adapter from the old one and the evolution',
    ['core/method', 'core/method/evolution', 'core/models', 'core/linalg', 'core/statistics', 'core/options'],
  ],
  [
    'core/method/regularization',
    'the scheduled L2 penalty of fine-tuning',
    ['core/method', 'core/models', 'core/options'],
  ],
  ['core/method/gate', 'when an adapter is ready', ['core/method', 'core/statistics', 'core/options']],
  [
    'core/method/search',
    'the search for fusion coefficients',
    [
      'core/method',
      'core/method/evolution',
      'core/method/fusion',
      'core/models',
      'core/linalg',
      'core/statistics',
      'core/options',
    ],
  ],
  ['core/method/ladder', 'what each strategy tries, in which order', ['core/method', 'core/models', 'core/options']],
  [
    'core/training',
    'the trainer, its optimizer and its checkpoints',
    [
      'core/data',
      'core/engine',
      'core/formats',
      'core/method/regularization',
      'core/models',
      'core/statistics',
      'core/options',
    ],
  ],
  [
    'core/device-check',
    'the comparison of a device with the reference, and its speed',
    [
      'core/training',
      'core/engine',
      'core/formats',
      'core/models',
      'core/statistics',
      'core/options',
      'core/installation',
    ],
  ],
  ['core/adaptation', 'one job from its files to its outcome', ['core']],
  [
    'src',
    'the service: HTTP, database, queue',
    ['core/formats', 'core/options', 'core/installation', 'core/statistics', 'core/method/gate', 'core/method/search'],
  ],
  ['workers/training', 'the training process, and how a worker speaks with it', ['core', 'src']],
  ['workers/adaptations', 'the handler of adaptation jobs', ['core', 'src', 'workers']],
  ['workers/outcomes', 'the handler of measurements that are made ahead of rollouts', ['core', 'src', 'workers']],
  ['workers/rollouts', 'the handler of rollouts: analysis and planning', ['core', 'src', 'workers']],
  ['workers', 'the start of a worker', ['core', 'src']],
  ['openapi/clients/typescript', 'the client of the API, which is a package of its own', []],
  ['cli', 'the command `readapt`; it composes everything', ['core', 'openapi/clients/typescript', 'src', 'workers']],
  [
    'examples',
    'the chain from a published adapter to the answer of an engine; the models and rows of the demo',
    ['core', 'openapi/clients/typescript', 'src', 'cli'],
  ],
  [
    'dashboard',
    'the pages that the API serves at `/`, which know the service by its client alone',
    ['openapi/clients/typescript'],
  ],
  ['scripts', 'checks and installation', ['src']],
  ['test', 'the tests', ['cli', 'core', 'dashboard', 'openapi/clients/typescript', 'scripts', 'src', 'workers']],
  [
    'lab/bench',
    'benchmarks: PyTorch beside the engine, evolution and fusion, the service under load, simulated gates, forecasts',
    ['core', 'openapi/clients/typescript', 'src', 'cli', 'workers/bases', 'test'],
  ],
  ['lab/experiments', 'the harness of the experiments on quality and time to readiness', ['core', 'cli', 'lab/bench']],
  ['lab/test', 'tests of the lab', ['lab/bench', 'lab/experiments', 'core', 'cli', 'src', 'test']],
];

const OURS = '^(cli|core|dashboard|examples|lab|openapi|scripts|src|test|workers)/';

/** Files directly in `core/method` or `workers` do not count as in their sub-folders, which have rows of their own. */
const PARENTS = ['core/method', 'workers'];

function inside(folder) {
  return PARENTS.includes(folder) ? `^${folder}/[^/]+$` : `^${folder}/`;
}

/** Rules for dependency-cruiser. */
function importRules() {
  return FOLDERS.map(([folder, , may]) => {
    const own = folder === 'workers' ? ['^workers/'] : [inside(folder)];
    const allowed = may.map((other) =>
      other === 'workers'
        ? '^workers/'
        : folder === 'core/method/ladder' && other === 'core/method'
          ? '^core/method/'
          : inside(other),
    );
    return {
      name: `${folder.replaceAll('/', '-')}-imports`,
      comment: `${folder} may import ${may.join(', ') || 'nothing'}; see docs/architecture.md`,
      severity: 'error',
      from: { path: inside(folder) },
      to: { path: OURS, pathNot: [...own, ...allowed].join('|') },
    };
  });
}

function table() {
  const rows = FOLDERS.map(([folder, what, may]) => {
    return `| \`${folder}/\` | ${what} | ${may.map((other) => `\`${other}\``).join(', ') || '–'} |`;
  });
  return ['| folder | what it is | may import |', '| --- | --- | --- |', ...rows].join('\n');
}

const BEGIN = '<!-- import rules: written by scripts/import-rules.cjs -->';
const END = '<!-- end of the import rules -->';

async function main([flag, file]) {
  const { format, resolveConfig } = await import('prettier');
  const text = readFileSync(file, 'utf8');
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${file} has no place for the table: expected ${BEGIN} and ${END}`);
  const options = { ...(await resolveConfig(file)), parser: 'markdown' };
  const wanted = `${before}${BEGIN}\n\n${await format(table(), options)}\n${END}${after}`;
  if (flag === '--write') writeFileSync(file, wanted);
  else if (wanted !== text) {
    console.error(
      `${file} prints other import rules than lint enforces: run node scripts/import-rules.cjs --write ${file}`,
    );
    process.exitCode = 1;
  }
}

module.exports = { importRules };
if (require.main === module) void main(process.argv.slice(2));
