/** Opens the environment's store and puts the file or folder named by its argument. */
import { stat } from 'node:fs/promises';
import { openS3Store } from '../../../src/platform/artifacts/opening/open-s3-store.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';

const [, , source = ''] = process.argv;
const config = loadConfig(process.env);
const { store } = await openS3Store(config.artifacts!, config);
await ((await stat(source)).isDirectory() ? store.putFolder(source, 'adapter') : store.putFile(source, 'dataset'));
