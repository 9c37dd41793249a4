import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../../../platform/contract/errors.ts';
import { uploadTooLarge, type Upload, type UploadLimit } from '../../../platform/contract/upload.ts';

/**
 * Makes Fastify pass request bodies of the given content types to the handler as a stream, instead of reading them
 * first.
 */
export function acceptUploads(app: FastifyInstance, contentTypes: readonly string[]): void {
  app.addContentTypeParser([...contentTypes], (_request, payload, done) => done(null, payload));
}

/**
 * Opens the uploaded body of a request. Its bytes are read on demand.
 *
 * @throws AppError 415 if the request has no body of these types, 413 `upload_too_large`, 400 `upload_aborted`
 */
export function uploadOf(request: FastifyRequest, contentTypes: readonly string[], limit: UploadLimit): Upload {
  const body: unknown = request.body;
  if (!(body instanceof Readable)) {
    const message = `the request has no body of type ${contentTypes.join(' or ')}, expected one`;
    throw new AppError({ code: 'unsupported_media_type', status: 415, message });
  }
  const length = request.headers['content-length'];
  const declaredBytes = length === undefined ? null : Number(length);
  if (declaredBytes !== null && declaredBytes > limit.maxBytes) throw uploadTooLarge(limit);
  return { chunks: limited(body, limit), declaredBytes };
}

async function* limited(body: Readable, limit: UploadLimit): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of readOn(body)) {
    bytes += chunk.length;
    if (bytes > limit.maxBytes) throw uploadTooLarge(limit);
    yield chunk;
  }
}

/**
 * Reads the body of a request piece by piece. If the reader stops early, the body is not destroyed, because the answer
 * still needs the connection.
 */
async function* readOn(body: Readable): AsyncGenerator<Buffer> {
  const chunks = body.iterator({ destroyOnReturn: false });
  try {
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => {
        throw aborted(error);
      });
      if (next.done === true) return;
      yield next.value as Buffer;
    }
  } finally {
    // While the iterator listens, no other reader can continue or discard the rest.
    await chunks.return?.();
  }
}

function aborted(cause: unknown): AppError {
  const message = 'the upload was cut off before its end';
  return new AppError({ code: 'upload_aborted', status: 400, message, cause });
}
