export { createQuotaCheck } from './quota-check.ts';
export { createUploadRooms, type UploadRoom, type UploadRooms } from './upload-room.ts';
