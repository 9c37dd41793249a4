export { createDatasetService, type DatasetService } from './dataset.service.ts';
