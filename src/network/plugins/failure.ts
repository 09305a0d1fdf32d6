import { CniError } from '../cni/types.ts';

/** A CniError as it crosses between threads and processes. */
export interface Failure {
  readonly code: number;
  readonly message: string;
  readonly details: string;
}

export function toFailure({ code, message, details }: CniError): Failure {
  return { code, message, details };
}

export function fromFailure({ code, message, details }: Failure): CniError {
  return new CniError(code, message, details);
}
