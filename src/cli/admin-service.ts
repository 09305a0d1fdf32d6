import type {
  CallOptions,
  ChannelCredentials,
  ClientOptions,
  ClientUnaryCall,
  requestCallback,
} from '@grpc/grpc-js';
import { loadService } from '../lib/proto.ts';

/** Every answer of the service is JSON text; its forms are described in berth/v1/admin.proto. */
export interface JsonAnswer {
  readonly json: string;
}

type Unary<Request> = (
  request: Request,
  options: CallOptions,
  done: requestCallback<JsonAnswer>,
) => ClientUnaryCall;

/** The client side of berth.v1.Admin. */
export interface AdminClient {
  readonly ListDebts: Unary<Record<string, never>>;
  readonly RetryDebt: Unary<{ readonly id: string }>;
  readonly ForgiveDebt: Unary<{ readonly id: string }>;
  readonly CollectGarbage: Unary<{ readonly dryRun: boolean }>;
  readonly TestNetworks: Unary<Record<string, never>>;
  readonly ShowNetworks: Unary<Record<string, never>>;
  readonly ExplainSandbox: Unary<{ readonly pod: string }>;
  close(): void;
}

interface AdminPackage {
  readonly berth: {
    readonly v1: {
      readonly Admin: new (
        target: string,
        credentials: ChannelCredentials,
        options: ClientOptions,
      ) => AdminClient;
    };
  };
}

export function loadAdmin(): AdminPackage['berth']['v1'] {
  return (loadService('berth/v1/admin.proto') as unknown as AdminPackage).berth.v1;
}
