/**
 * Keeps copies of the settings in src/platform/config/settings.ts up to date: the tables of docs/settings.md, and the
 * names in the schema of the Helm chart. `npm run settings:write` writes both; `npm run lint` fails if one is stale.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'oxfmt';
import { SETTING_GROUPS } from '../src/platform/config/settings.ts';
import { defaultText, type Setting } from '../src/platform/config/settings/setting.ts';

const PAGE = 'docs/settings.md';
const BEGIN = '<!-- settings: written by scripts/settings.ts -->';
const END = '<!-- end of the settings -->';
const CHART = 'deploy/helm/readapt';
/** Matches URLs in a sentence, which Markdown would turn into links. */
const URL_TEXT = /[a-z0-9]+:\/\/\S*[^\s,;]/g;
const READERS = { api: 'API', worker: 'worker' } as const;

function table(settings: readonly Setting[]): string {
  const rows = settings.map((setting) => {
    const { variable, kind, help, page, readBy } = setting;
    const link = page === undefined ? '' : ` ([${page.split('#')[0]}](${page}))`;
    const values = kind.expected.replaceAll(URL_TEXT, '`$&`');
    const cells = [
      `\`${variable}\``,
      defaultText(setting) ?? 'none',
      values,
      readBy === undefined ? 'both' : READERS[readBy],
      help + link,
    ];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;')).join(' | ')} |`;
  });
  return ['| variable | default | values | read by | meaning |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}

function settingsPage(text: string): string {
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${PAGE} has no place for the tables: expected ${BEGIN} and ${END}`);
  const sections = Object.entries(SETTING_GROUPS).map(([heading, settings]) => `## ${heading}\n\n${table(settings)}`);
  return `${before}${BEGIN}\n\n${sections.join('\n\n')}\n\n${END}${after}`;
}

/** Adds to the chart's schema the variables that its templates do not set themselves. */
function chartSchema(text: string): string {
  const folder = path.join(CHART, 'templates');
  const templates = readdirSync(folder).map((name) => readFileSync(path.join(folder, name), 'utf8'));
  const named = new Set(templates.join('\n').match(/[A-Z][A-Z0-9_]+/g));
  const offered = Object.values(SETTING_GROUPS)
    .flat()
    .filter(({ variable }) => !named.has(variable))
    .map(({ variable, kind }) => [variable, { type: kind.isNumeric === true ? ['string', 'integer'] : 'string' }]);
  const schema = JSON.parse(text);
  schema.properties.settings.properties = Object.fromEntries(offered);
  return JSON.stringify(schema, null, 2);
}

const files = { [PAGE]: settingsPage, [path.join(CHART, 'values.schema.json')]: chartSchema };
for (const [file, wanted] of Object.entries(files)) {
  const text = readFileSync(file, 'utf8');
  const { code: made } = await format(file, wanted(text), { printWidth: 120 });
  if (made === text) continue;
  if (process.argv[2] === '--write') writeFileSync(file, made);
  else {
    console.error(`${file} has other settings than src/platform/config/settings.ts: run npm run settings:write`);
    process.exitCode = 1;
  }
}
