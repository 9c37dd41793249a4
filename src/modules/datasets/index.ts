export { createDatasetRepository } from './dataset.repository.ts';
export { createDatasetService, type DatasetService } from './dataset.service.ts';
