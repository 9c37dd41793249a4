export { createDatasetRepository } from './dataset.repository.ts';
