export { createFolderMetrics } from './folder/folder-metrics.ts';
export { createServingFolder, type ServingFolder } from './folder/serving-folder.ts';
export { engineName, parseEngineName } from './engine-name.ts';
