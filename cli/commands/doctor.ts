import type { Command } from 'commander';
import type { Finding, FindingKind } from '../../src/operations/doctor/findings.ts';
import { UnsuccessfulResult } from '../process/errors.ts';
import { addJsonOption, type JsonOption } from '../options/common-options.ts';
import { addDatabaseOption, configOf, type DatabaseOption } from '../options/database-option.ts';

interface DoctorOptions extends JsonOption, DatabaseOption {
  readonly verify?: boolean;
  readonly mend?: boolean;
  readonly adopt?: boolean;
  readonly acceptLosses?: boolean;
}

/** Largest number of findings of one kind that `readapt doctor` prints; with `--json`, it prints all. */
const SHOWN = 20;

export function addDoctorCommand(program: Command): void {
  const doctor = program
    .command('doctor')
    .description('Compare the database with the artifact store, and say what does not fit together.')
    .option('--verify', 'Read all artifacts and compare them with their digests; else only their sizes are compared.')
    .option('--mend', 'Do what the report says that it would do. No artifact is deleted.')
    .option(
      '--adopt',
      'Make the artifact store belong to this database, from which workers then remove what it does not name.',
    )
    .option(
      '--accept-losses',
      'With --mend or --adopt: go on where most artifacts are gone, corrupt or nobody’s. Else it refuses.',
    );
  addDatabaseOption(doctor)
    .addHelpText(
      'after',
      '\nThe exit code is 0 if nothing is wrong, or if all of it was mended; 1 if something is wrong; 2 if it ' +
        'cannot look.',
    )
    .action(run);
  addJsonOption(doctor);
}

async function run(options: DoctorOptions): Promise<void> {
  const { withDatabase } = await import('../stack/database.ts');
  const { openArtifactStore } = await import('../../src/platform/artifacts/index.ts');
  const { examine } = await import('../../src/operations/doctor/doctor.ts');
  const config = await configOf(options);
  const findings = await withDatabase(config, async (db) => {
    // A plain report changes nothing, so it does not claim an artifact store that has no owner yet.
    const marks = options.mend === true || options.adopt === true;
    const artifacts = await openArtifactStore({ db, config, begins: false, marks });
    const found: Finding[] = [];
    for await (const one of examine({ db, artifacts, ...options })) found.push(one);
    return found;
  });
  const left = findings.filter(({ mended }) => !mended).length;
  process.stdout.write(options.json ? `${JSON.stringify({ findings, left })}\n` : await report(findings, options));
  if (left > 0) throw new UnsuccessfulResult(`${left} of ${findings.length} findings are not mended`);
}

async function report(findings: readonly Finding[], { mend, adopt }: DoctorOptions): Promise<string> {
  const { FINDINGS } = await import('../../src/operations/doctor/findings.ts');
  if (findings.length === 0) return 'nothing is wrong\n';
  const lines: string[] = [];
  for (const [kind, heading] of Object.entries(FINDINGS) as [FindingKind, string][]) {
    const found = findings.filter((finding) => finding.kind === kind);
    if (found.length === 0) continue;
    lines.push(`${heading} (${found.length}):`);
    for (const { message } of found.slice(0, SHOWN)) lines.push(`  ${message}`);
    if (found.length > SHOWN) lines.push(`  and ${found.length - SHOWN} more, which --json shows`);
    const [{ mend: remedy, advice, mended }] = found as [Finding];
    const option = kind === 'store_not_owned' ? '--adopt' : '--mend';
    if (remedy !== null) lines.push(`  ${mended ? 'done' : `${option} would`}: ${remedy}`);
    if (advice !== undefined) lines.push(`  what you can do: ${advice}`);
  }
  if (mend !== true && adopt !== true && findings.some(({ mend: remedy }) => remedy !== null)) {
    lines.push('nothing was changed; `readapt doctor --mend` does what is said above');
  }
  return `${lines.join('\n')}\n`;
}
