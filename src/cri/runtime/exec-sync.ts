import type { ExecSyncRequest__Output } from '../../gen/runtime/v1/ExecSyncRequest.ts';
import type { ExecSyncResponse } from '../../gen/runtime/v1/ExecSyncResponse.ts';
import { execSync as execute } from '../../pod/container/exec-sync.ts';
import type { Unary } from '../call.ts';
import { requireCommand } from './require-command.ts';
import { requireId } from './require-id.ts';

/** CRI ExecSync: runs a command and returns its output; the timeout is in seconds, 0 for none. */
export const execSync: Unary<ExecSyncRequest__Output, ExecSyncResponse> = async (deps, request, call) => {
  const container = deps.pods.containers.store.get(requireId('container_id', request.containerId));
  requireCommand(request.cmd);
  const timeoutSeconds = Number(request.timeout);
  const { stdout, stderr, exitCode } = await execute(
    deps.pods,
    container,
    { cmd: request.cmd, timeoutSeconds },
    call.signal,
  );
  return { stdout: Buffer.from(stdout), stderr: Buffer.from(stderr), exitCode };
};
