/**
 * Reads the files of a version in a loop, as an engine does that loads it, and tells its parent of each file that is missing or not whole. Ends when
 * the parent asks how often it has read. Arguments: the folder of the version.
 */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';

const [folder] = process.argv.slice(2) as [string];
let rounds = 0;
let isAsked = false;
process.once('message', () => (isAsked = true));
process.send?.({ ready: true });
while (!isAsked) {
  try {
    for (const name of ['adapter_config.json', 'readapt.json', 'readapt-serving.json']) {
      JSON.parse(await readFile(path.join(folder, name), 'utf8'));
    }
    if ((await stat(path.join(folder, 'adapter_model.safetensors'))).size === 0) throw new Error('no weights');
  } catch (error) {
    process.send?.({ fault: String(error) });
  }
  rounds += 1;
  // Lets the parent's message come in.
  await new Promise((resolve) => setImmediate(resolve));
}
process.send?.({ rounds });
process.disconnect();
