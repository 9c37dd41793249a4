/**
 * Table of which folder may import which. `npm run lint` enforces it (through .dependency-cruiser.cjs), and
 * docs/architecture/import-rules.md prints it. `node scripts/import-rules.cjs --write FILE` writes the table into a
 * document, between two comments; `--check FILE` fails if the document has a different table.
 */
const { existsSync, readFileSync, writeFileSync } = require('node:fs');

/** Folders of `src` ("rooms") that every other room may import. */
const PLATFORM = ['src/lib', 'src/platform'];
/** Rooms that every room with routes may import. */
const ROUTES = ['src/api/plugins', ...PLATFORM];

/**
 * Rows of the table: a folder, its description, and the folders that it may import besides itself, from the bottom to
 * the top.
 */
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
  ['src/lib', 'helpers without a domain: logger, clock, timeouts, keyed mutex, TTL cache, jitter', []],
  [
    'src/platform/config',
    'every setting: variable, type, range, default, help',
    ['core/formats', 'core/options', 'src/lib'],
  ],
  ['src/platform/tracing', 'spans, sent by OTLP where a collector is set', ['src/lib']],
  [
    'src/platform/outgoing',
    'requests to addresses that users give, and the policy of addresses',
    ['core/installation', 'src/lib'],
  ],
  [
    'src/platform/database',
    'client, migrations, tenant role, grants and row-level security, for any PostgreSQL',
    ['core/installation', 'src/lib', 'src/platform/config'],
  ],
  [
    'src/platform/contract',
    'the vocabulary of the API: problems, identifiers, pages, sorting, shared schemas',
    ['core/options', 'src/lib', 'src/platform/database'],
  ],
  [
    'src/platform/queue',
    'BullMQ on PostgreSQL or Redis: catalog of queue entries, producer, consumer, sweeper',
    ['src/lib', 'src/platform/contract', 'src/platform/database'],
  ],
  [
    'src/platform/artifacts',
    'the artifact store: a folder or an S3 bucket',
    ['core/formats', 'src/lib', 'src/platform/config', 'src/platform/contract', 'src/platform/database'],
  ],
  [
    'src/platform/embedded',
    'PostgreSQL in the data folder: start, supervision, watchdog',
    ['core/formats', 'core/installation', 'src/lib', 'src/platform/config', 'src/platform/contract'],
  ],
  [
    'src/platform/base-sources',
    'files of bases and adapters from folders, hubs, buckets and uploads',
    [
      'core/formats',
      'src/lib',
      'src/platform/artifacts',
      'src/platform/config',
      'src/platform/contract',
      'src/platform/database',
    ],
  ],
  [
    'src/api/plugins',
    'Fastify plugins: authentication, problems, idempotency, rate limits, validation, OpenAPI',
    ['core/installation', 'core/options', ...PLATFORM],
  ],
  ['src/delivery/events', 'the log of events, and streams of it', ROUTES],
  ['src/delivery/webhooks', 'endpoints, and delivery to them', [...ROUTES, 'src/delivery/events']],
  ['src/tenants/tenants', 'tenants', [...ROUTES, 'src/delivery/events']],
  ['src/tenants/quotas', 'limits of tenants, and what they have used', [...ROUTES, 'src/delivery/events']],
  ['src/tenants/audit', 'the log of changes that callers make', [...ROUTES, 'src/delivery/events']],
  [
    'src/tenants/api-keys',
    'keys, their scopes, and authentication',
    [...ROUTES, 'src/delivery/events', 'src/tenants/audit', 'src/tenants/quotas'],
  ],
  ['src/operations/workers', 'workers as they report themselves', [...ROUTES, 'src/delivery/events']],
  ['src/operations/health', 'liveness and readiness', ROUTES],
  ['src/operations/overview', 'the fleet at a glance, and what needs a person', ROUTES],
  ['src/fleet/evolutions', 'what changed between two base versions', ROUTES],
  [
    'src/fleet/outcomes',
    'gate outcomes of versions, measured ahead',
    ['core/options', ...ROUTES, 'src/delivery/events'],
  ],
  ['src/fleet/rollbacks', 'undoing the publications of a rollout', [...ROUTES, 'src/delivery/events']],
  [
    'src/fleet/datasets',
    'rows of tenants, and advice on gates',
    [
      'core/formats',
      'core/method/gate',
      'core/options',
      ...ROUTES,
      'src/delivery/events',
      'src/tenants/quotas',
      'src/tenants/tenants',
    ],
  ],
  [
    'src/fleet/jobs',
    'adaptation jobs: their rows, states, clock and ladder',
    ['core/method/search', 'core/options', ...ROUTES, 'src/delivery/events'],
  ],
  [
    'src/fleet/rollouts',
    'one base version reaching the whole fleet: planning, waves, limits, order, succession, pauses',
    ['core/options', ...ROUTES, 'src/delivery/events', 'src/fleet/evolutions', 'src/fleet/jobs', 'src/tenants/quotas'],
  ],
  [
    'src/fleet/job-control',
    'what workers and people do to jobs: leases, pauses, approvals, retries, cancellation',
    ['core/options', ...ROUTES, 'src/delivery/events', 'src/fleet/jobs', 'src/fleet/rollouts', 'src/tenants/quotas'],
  ],
  [
    'src/fleet/forecasts',
    'dry runs: what a rollout would do, and how long it would take',
    [
      'core/statistics',
      ...ROUTES,
      'src/delivery/events',
      'src/fleet/evolutions',
      'src/fleet/jobs',
      'src/fleet/rollouts',
      'src/operations/workers',
      'src/tenants/quotas',
    ],
  ],
  [
    'src/fleet/reports',
    'results of a rollout as tables',
    ['core/statistics', ...ROUTES, 'src/fleet/jobs', 'src/fleet/rollouts'],
  ],
  [
    'src/fleet/base-models',
    'base models and their versions',
    ['core/options', ...ROUTES, 'src/delivery/events', 'src/fleet/forecasts', 'src/fleet/rollouts'],
  ],
  [
    'src/fleet/base-uploads',
    'uploads of base models, in parts',
    ['core/formats', ...ROUTES, 'src/delivery/events', 'src/fleet/base-models'],
  ],
  [
    'src/fleet/adapters',
    'adapters and their versions: import, inspection, current version',
    [
      'core/formats',
      'core/installation',
      'core/options',
      ...ROUTES,
      'src/delivery/events',
      'src/fleet/base-models',
      'src/fleet/datasets',
      'src/fleet/outcomes',
      'src/tenants/quotas',
      'src/tenants/tenants',
    ],
  ],
  [
    'src/delivery/serving',
    'folders of adapters for serving engines',
    ['core/options', ...ROUTES, 'src/delivery/events', 'src/fleet/base-models'],
  ],
  [
    'src/delivery/replicas',
    'adapters in running engines, kept in sync',
    ['core/formats', 'core/options', ...ROUTES, 'src/delivery/events', 'src/delivery/serving'],
  ],
  [
    'src/tenants/deletion',
    'deleting and undeleting what tenants have',
    [
      ...ROUTES,
      'src/delivery/events',
      'src/fleet/adapters',
      'src/fleet/datasets',
      'src/fleet/job-control',
      'src/tenants/tenants',
    ],
  ],
  [
    'src/tenants/export',
    'everything that a tenant has, as one stream',
    [
      ...ROUTES,
      'src/delivery/events',
      'src/fleet/adapters',
      'src/fleet/datasets',
      'src/fleet/jobs',
      'src/tenants/quotas',
      'src/tenants/tenants',
    ],
  ],
  [
    'src/operations/metrics',
    'metrics for Prometheus',
    [...ROUTES, 'src/delivery/events', 'src/fleet/rollouts', 'src/operations/health'],
  ],
  [
    'src/operations/housekeeping',
    'retention and collection of what is no longer needed',
    [...ROUTES, 'src/delivery/events', 'src/fleet/base-uploads', 'src/fleet/job-control'],
  ],
  [
    'src/operations/doctor',
    'comparison of database and artifact store, and repairs',
    ['core/formats', ...ROUTES, 'src/delivery/events', 'src/fleet/adapters', 'src/tenants/audit'],
  ],
  ['src/api', 'the app and its server, which compose all rooms', ['core/installation', 'src']],
  ['workers/training', 'the training process, and how a worker speaks with it', ['core', 'src']],
  ['workers/faults', 'errors of handlers, as faults of a machine or of a job', ['core', 'src', 'workers']],
  ['workers/bases', 'the files of base models on the machine of a worker', ['core', 'src', 'workers/faults']],
  ['workers/registration', 'the row and the heartbeats of a worker', ['src']],
  ['workers/metrics', 'the metrics of a worker', ['src', 'workers']],
  ['workers/adaptations', 'the handlers of adaptation jobs and of their baselines', ['core', 'src', 'workers']],
  ['workers/outcomes', 'the handler of measurements that are made ahead of rollouts', ['core', 'src', 'workers']],
  ['workers/provisional', 'the handler of versions that are made without data', ['core', 'src', 'workers']],
  ['workers/rollouts', 'the handlers of rollouts and forecasts: analysis and planning', ['core', 'src', 'workers']],
  ['workers/start', 'the start of a worker, part by part', ['core', 'src', 'workers']],
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

/** Folders whose own files have a row apart from those of their sub-folders. */
const PARENTS = ['core/method', 'src/api'];

function inside(folder) {
  return PARENTS.includes(folder) ? `^${folder}/[^/]+$` : `^${folder}/`;
}

/** Creates the rules for dependency-cruiser. */
function importRules() {
  return FOLDERS.map(([folder, , may]) => {
    const allowed = may.map((other) =>
      folder === 'core/method/ladder' && other === 'core/method' ? '^core/method/' : inside(other),
    );
    return {
      name: `${folder.replaceAll('/', '-')}-imports`,
      comment: `${folder} may import ${may.join(', ') || 'nothing'}; see docs/architecture/import-rules.md`,
      severity: 'error',
      from: { path: inside(folder) },
      to: { path: OURS, pathNot: [inside(folder), ...allowed].join('|') },
    };
  });
}

/**
 * Largest number of floors (layers) of a wing (a folder of `src`). A room is one floor above the highest room of its
 * wing that it may import.
 */
const MAX_FLOORS = 5;

/** Checks the table. @throws Error if a folder may import one below it, or if a wing has too many floors */
function requireOrder() {
  const names = FOLDERS.map(([folder]) => folder);
  const floors = new Map();
  for (const [index, [folder, , may]] of FOLDERS.entries()) {
    const later = may.find((other) => names.indexOf(other) > index);
    if (later !== undefined) throw new Error(`${folder} may import ${later}, which stands below it in the table`);
    const [, wing] = /^(src\/\w+)\/[^/]+$/.exec(folder) ?? [];
    if (wing === undefined) continue;
    const below = may.filter((other) => other.startsWith(`${wing}/`)).map((other) => floors.get(other));
    floors.set(folder, Math.max(0, ...below) + 1);
    if (floors.get(folder) > MAX_FLOORS) throw new Error(`${folder} is above floor ${MAX_FLOORS} of ${wing}`);
  }
}

/** Refuses a room whose `index.ts` exports a repository: other rooms get the functions that they need, by name. */
function requireNoRepositories() {
  for (const [folder] of FOLDERS) {
    const file = `${folder}/index.ts`;
    if (!existsSync(file)) continue;
    const [repository] = /\w+Repository\b/.exec(readFileSync(file, 'utf8')) ?? [];
    if (repository !== undefined) throw new Error(`${file} exports ${repository}, expected functions by name`);
  }
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
  requireOrder();
  requireNoRepositories();
  const { format } = await import('oxfmt');
  const text = readFileSync(file, 'utf8');
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${file} has no place for the table: expected ${BEGIN} and ${END}`);
  const wanted = `${before}${BEGIN}\n\n${(await format(file, table())).code}\n${END}${after}`;
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
