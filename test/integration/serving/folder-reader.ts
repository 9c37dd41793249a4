/**
 * Reads the files of a version in a loop, like an engine that loads it, and reports each missing or incomplete file to
 * its parent. It ends when the parent asks for the number of reads. Arguments: the folder of the version.
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
  // Lets the parent's message arrive.
  await new Promise((resolve) => setImmediate(resolve));
}
process.send?.({ rounds });
process.disconnect();
