/**
 * Checks that every file that the documentation links to or names by its path exists, that a test file has the titles
 * quoted after its name, and that code after `<!-- code of FILE -->` stands in that file. `npm run lint` runs it.
 */
const { execFileSync } = require('node:child_process');
const { existsSync, readFileSync } = require('node:fs');
const path = require('node:path');

const LINK = /\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)/g;
const FOLDERS = 'bin|cli|core|lab|prisma|scripts|src|test|workers';
const ENDINGS = 'ts|js|cjs|py|sh|sql|prisma|yaml|jsonl';
const NAMED = new RegExp(String.raw`(?<![\w./@-])((?:${FOLDERS})\/[\w./-]+\.(?:${ENDINGS}))(?![\w*{])`, 'g');
const CODE = /<!-- code of (\S+) -->\n+```\w*\n([\s\S]*?)\n```/g;
const TITLED = /`(test\/[\w./-]+\.test\.ts)`: (“[^”]+”(?:, “[^”]+”)*)/g;

const files = execFileSync('git', ['ls-files', '*.md'], { encoding: 'utf8' }).trim().split('\n');
const problems = files
  .filter((file) => existsSync(file) && file !== 'CHANGELOG.md' && !file.startsWith('test/fixtures/'))
  .flatMap((file) => {
    const text = readFileSync(file, 'utf8');
    const linked = [...text.matchAll(LINK)].map(([, target]) => path.join(path.dirname(file), decodeURI(target)));
    const named = [...text.matchAll(NAMED)].map(([, target]) => target);
    const missing = [...new Set([...linked, ...named])].filter((target) => !existsSync(target));
    return [
      ...missing.map((target) => `${file}: ${target} does not exist`),
      ...[...text.matchAll(CODE)].filter(([, source, code]) => !contains(source, code)).map(notIn(file)),
      ...[...text.matchAll(TITLED)].flatMap(([, test, titles]) => untitled(test, titles, file)),
    ];
  });
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

function notIn(file) {
  return ([, source, code]) => `${file}: the code that begins with “${code.split('\n')[0].trim()}” is not in ${source}`;
}

/** Whether a file has these lines in a row, at any common indentation. */
function contains(source, code) {
  if (!existsSync(source)) return false;
  const lines = readFileSync(source, 'utf8').split('\n');
  const wanted = code.split('\n');
  return lines.some((first, start) => {
    const indent = /^\s*/.exec(first)[0];
    return wanted.every((line, i) => lines[start + i] === (line === '' ? '' : indent + line));
  });
}

/** Finds quoted titles that the test file does not have. */
function untitled(test, titles, file) {
  if (!existsSync(test)) return [];
  const source = readFileSync(test, 'utf8');
  return [...titles.matchAll(/“([^”]+)”/g)]
    .filter(([, title]) => !source.includes(title))
    .map(([, title]) => `${file}: ${test} has no test “${title}”`);
}
