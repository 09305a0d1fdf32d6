import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { codeOf, messageOf } from '../lib/errors.ts';

/** A status message travels percent-encoded in a trailer; clients refuse trailers of more than 8 KiB, some of more than 4. */
const MESSAGE_MAX = 3_900;

/** The one place where an error becomes a gRPC status. */
export function toServiceError(thrown: unknown): ServiceError {
  const details = bounded(messageOf(thrown));
  return Object.assign(new Error(details), {
    code: status[codeOf(thrown)],
    details,
    metadata: new Metadata(),
  });
}

function bounded(message: string): string {
  let text = wellFormed(message);
  while (encodeURI(text).length > MESSAGE_MAX)
    text = wellFormed(`${text.slice(0, Math.floor(text.length * 0.9))}…`);
  return text;
}

/** Half a surrogate pair, as a cut through a plugin's output may leave, cannot be encoded. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
