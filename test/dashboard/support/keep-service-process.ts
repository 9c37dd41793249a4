// Starts the service with the demo fleet and keeps it running until Ctrl-C, for work on the dashboard:
//   node --import tsx test/dashboard/support/keep-service-process.ts /tmp/stack.json
//   READAPT_DASHBOARD_STACK=/tmp/stack.json npx vitest run --project dashboard
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { untilStopped } from '../../../cli/stack/until-stopped.ts';
import { startDemoService } from './demo-service.ts';

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('no file is given, expected one to which the address and the keys are written');
const dataDir = await mkdtemp(path.join(tmpdir(), 'readapt-dashboard-'));
const { demo, stop } = await startDemoService(dataDir);
await writeFile(file, JSON.stringify(demo, null, 2), { mode: 0o600 });
process.stdout.write(`${demo.url}/#key=${demo.operatorKey}\n`);
await untilStopped();
await stop();
await rm(dataDir, { recursive: true, force: true });
