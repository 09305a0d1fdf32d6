import type { VersionRequest__Output } from '../../gen/runtime/v1/VersionRequest.ts';
import type { VersionResponse } from '../../gen/runtime/v1/VersionResponse.ts';
import { packageVersion } from '../../lib/package-root.ts';
import type { Unary } from '../call.ts';

/** The version of the kubelet's runtime API that the answer itself is in; kubelet wants just this text. */
const KUBELET_API = '0.1.0';
const RUNTIME_VERSION = packageVersion();

/** CRI Version. */
export const version: Unary<VersionRequest__Output, VersionResponse> = () => ({
  version: KUBELET_API,
  runtimeName: 'berth',
  runtimeVersion: RUNTIME_VERSION,
  runtimeApiVersion: 'v1',
});
